# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs that cannot end well do not: in the catalog, and with nothing left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bareos_vmsnap.vsphere import markers

from ..e2e.hardware import MIB
from .joblog import check_failed, check_ok
from .proxy import Proxy, until
from .slow_jobs import NOISE, backup_snapshots, check_next_job, noisy


def _stored_bytes(proxy: Proxy) -> int:
    """By all jobs so far; the file daemon's own count goes up at the end of a file only."""
    return sum(path.stat().st_size for path in (proxy.bareos.root / "volumes").iterdir())


def test_the_mover_is_killed(proxy: Proxy) -> None:
    machine = noisy(proxy, size=2 * NOISE)
    before = _stored_bytes(proxy)
    jobid = proxy.bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    until(lambda: _stored_bytes(proxy) > before + MIB // 2)
    os.kill(proxy.working_movers()[0], signal.SIGKILL)
    check_failed(proxy.bareos.wait(jobid), "was not saved whole: .*killed by SIGKILL")
    assert machine.snapshot_names == []
    check_next_job(proxy, machine)


def test_preflight_fails(proxy: Proxy) -> None:
    machine = proxy.create([MIB])
    name = machine.name
    machine.vm.MarkAsTemplate()
    check_failed(proxy.bareos.backup(name), "it is a template")
    machine.rename("somebody-renamed-it")
    check_failed(proxy.bareos.backup(name), f"VM {name} does not exist in folder /")
    assert machine.snapshot_names == []


def test_vcenter_goes_away(proxy: Proxy) -> None:
    machine = noisy(proxy)
    machine.snapshot("A")
    machine.scribble("now")
    jobid = proxy.bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    until(proxy.working_movers)
    proxy.lose_vcenter()
    job = proxy.bareos.wait(jobid)
    proxy.lab.habits.forgive()
    proxy.forget_killed()
    assert job.status == "f", job.log
    assert backup_snapshots(machine) == [f"{markers.BACKUP_PREFIX}{job.unique_name}"]
    check_next_job(proxy, machine)


def test_a_damaged_volume(proxy: Proxy) -> None:
    machine = proxy.create([NOISE], plugin=":compression=none")
    name = machine.name
    mark = os.urandom(4096)
    machine.guest.write(2000, MIB, mark)
    check_ok(proxy.bareos.backup(name))
    machine.destroy()
    volume, at = _find_on_volumes(proxy.bareos.root / "volumes", mark)
    with volume.open("r+b") as file:
        file.seek(at + 100)
        file.write(b"damaged")
    job = proxy.bareos.restore(name)
    assert job.status in ("E", "f"), job.log
    assert proxy.vm_names() in ([f"{name} (incomplete restore)"], [])


def _find_on_volumes(volumes: Path, content: bytes) -> tuple[Path, int]:
    for path in volumes.iterdir():
        at = path.read_bytes().find(content[:512])
        if at >= 0:
            return path, at
    raise LookupError("no volume holds it")
