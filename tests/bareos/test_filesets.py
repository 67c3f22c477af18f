# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What admins put into FileSets and Jobs on top: every restore is still the same."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from . import shipped
from .bareos import Bareos
from .joblog import check_failed, check_ok
from .proxy import Proxy

MYSELF = "bareos-fd.d/client/myself.conf"
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


@contextmanager
def configured(bareos: Bareos, *changes: tuple[str, str]) -> Iterator[None]:
    """Lines at the end of resources (files below etc/) for a while; all daemons start anew."""
    daemons = (bareos.storage, bareos.file, bareos.director)
    files = {bareos.configuration.etc / name: lines for name, lines in changes}
    before = {path: path.read_text() for path in files}

    def restart(contents: dict[Path, str]) -> None:
        for daemon in reversed(daemons):
            daemon.stop()
        for path, content in contents.items():
            path.write_text(content)
        bareos.start()

    restart({path: shipped.with_lines(before[path], lines) for path, lines in files.items()})
    try:
        yield
    finally:
        restart(before)


@pytest.mark.parametrize("options", ["", "Signature = SHA256\n      Compression = LZ4"])
def test_data_encryption(proxy: Proxy, options: str) -> None:
    keys = _key_pair(proxy.bareos)
    pki = f'  PKI Signatures = yes\n  PKI Encryption = yes\n  PKI Keypair = "{keys}"\n'
    with configured(proxy.bareos, (MYSELF, pki)):
        check_round_trip(proxy, proxy.create([MIB], options=options))


def test_tls_is_on(proxy: Proxy) -> None:
    """By default, between all daemons."""
    job = proxy.bareos.backup(proxy.create([MIB]).name)
    check_ok(job)
    assert len(re.findall(r"(?i)encryption: TLS_\w+", job.log)) >= 3


def test_tls_is_off(proxy: Proxy) -> None:
    """In every resource that has the switch: the jobs are the same."""
    resources = (
        "bareos-dir.d/director/bareos-dir.conf",
        "bareos-dir.d/client/vmware-proxy.conf",
        "bareos-dir.d/storage/File.conf",
        "bareos-sd.d/storage/bareos-sd.conf",
        "bareos-sd.d/director/bareos-dir.conf",
        "bareos-fd.d/director/bareos-dir.conf",
        MYSELF,
        "bconsole.conf",
    )
    off = "  TLS Enable = no\n"
    with configured(proxy.bareos, *((name, off) for name in resources)):
        machine = proxy.create([MIB])
        name = machine.name
        check_round_trip(proxy, machine)
        job = proxy.bareos.backup(name)
    assert "TLS" not in job.log


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
