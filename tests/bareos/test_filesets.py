# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What admins put into FileSets and Jobs on top: every restore is still the same."""

from __future__ import annotations

import subprocess

import pytest

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from . import shipped
from .bareos import Bareos
from .joblog import check_failed, check_ok
from .proxy import Proxy

ACCURATE = "  Accurate = yes\n"


def check_round_trip(proxy: Proxy, machine: Machine) -> None:
    """A Full, an Incremental and a restore of both."""
    name = machine.name
    machine.scribble("a")
    machine.snapshot("A")
    machine.scribble("b")
    check_ok(proxy.bareos.backup(name))
    machine.snapshot("B")
    machine.scribble("c")
    check_ok(proxy.bareos.backup(name, "Incremental"))
    before = machine.portrait()
    machine.destroy()
    check_ok(proxy.bareos.restore(name))
    assert proxy.find(name).portrait() == before


@pytest.mark.parametrize(
    "configured",
    [
        {"options": "Signature = SHA256\n      Compression = LZ4"},
        {"options": "Signature = XXH128\n      Compression = GZIP6"},
        {"job": ACCURATE},
        {"job": "  Spool Data = yes\n"},
    ],
    ids=["LZ4-SHA256", "GZIP-XXH128", "Accurate", "spool"],
)
def test_a_setting(proxy: Proxy, configured: dict[str, str]) -> None:
    check_round_trip(proxy, proxy.create([MIB], **configured))


def test_accurate_drops_what_is_no_longer_needed(proxy: Proxy) -> None:
    machine = proxy.create([MIB], job=ACCURATE)
    name = machine.name
    machine.scribble("a")
    first = machine.snapshot("A")
    machine.scribble("b")
    check_ok(proxy.bareos.backup(name))
    machine.remove(first)
    check_ok(proxy.bareos.backup(name, "Incremental"))
    before = machine.portrait()
    machine.destroy()
    check_ok(proxy.bareos.restore(name))
    assert proxy.find(name).portrait() == before


def test_data_encryption(proxy: Proxy) -> None:
    bareos = proxy.bareos
    resource = bareos.root / "etc" / "bareos-fd.d" / "client" / "myself.conf"
    plain = resource.read_text()
    keys = _key_pair(bareos)
    pki = f'  PKI Signatures = yes\n  PKI Encryption = yes\n  PKI Keypair = "{keys}"\n'
    resource.write_text(shipped.with_lines(plain, pki))
    bareos.file.stop()
    bareos.file.start()
    try:
        check_round_trip(proxy, proxy.create([MIB]))
    finally:
        resource.write_text(plain)
        bareos.file.stop()
        bareos.file.start()


def _key_pair(bareos: Bareos) -> str:
    """A certificate with its key in one file."""
    key, certificate = bareos.root / "etc" / "fd.key", bareos.root / "etc" / "fd.cert"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=proxy", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    both = bareos.root / "etc" / "fd.pem"
    both.touch(mode=0o600)
    both.write_text(certificate.read_text() + key.read_text())
    return str(both)


def test_several_vms_at_once(proxy: Proxy) -> None:
    """In one file daemon, each job in an interpreter of its own."""
    bareos = proxy.bareos
    machines = [proxy.create([MIB]) for _ in range(3)]
    for machine in machines:
        machine.scribble(machine.name)
    proxy.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 3  # so that they overlap
    ids = [bareos.start_job(f"run job=backup-vm-{m.name} level=Full yes") for m in machines]
    for jobid in ids:
        check_ok(bareos.wait(jobid))
    ((together,),) = bareos.database.query(
        f"SELECT max(starttime) < min(endtime) FROM job WHERE jobid IN ({', '.join(map(str, ids))})"
    )
    assert together == "t"
    proxy.lab.habits.task_seconds_of.clear()
    before = {machine.name: machine.portrait() for machine in machines}
    for machine in machines:
        machine.destroy()
    restores = [bareos.start_restore(name) for name in before]
    for jobid in restores:
        check_ok(bareos.wait(jobid))
    assert {name: proxy.find(name).portrait() for name in before} == before


def test_two_jobs_of_one_vm_at_once(proxy: Proxy) -> None:
    """The second job of the same name is Bareos' matter; one of another name is refused by us."""
    bareos = proxy.bareos
    machine = proxy.create([MIB])
    name = machine.name
    other = shipped.text("bareos-dir.d/job/backup-vm-web1.conf", {"web1": name})
    bareos.configuration.add("job", "other", other.replace(f"backup-vm-{name}", "other"))
    bareos.reload()
    proxy.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 6
    first = bareos.start_job(f"run job=backup-vm-{name} level=Full yes")
    same = bareos.start_job(f"run job=backup-vm-{name} level=Full yes")
    second = bareos.start_job("run job=other level=Full yes")
    assert bareos.wait(same).status == "A"
    assert "Duplicate job not allowed" in bareos.job(same).log
    check_failed(bareos.wait(second), f"Another job of this file daemon is backing up VM {name}")
    check_ok(bareos.wait(first))
