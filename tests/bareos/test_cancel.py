# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Canceled jobs end as canceled and clean up, whatever they were doing."""

from __future__ import annotations

from typing import Any

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from ..e2e.portrait import Portrait
from .joblog import check_ok
from .proxy import Proxy, until
from .slow_jobs import (
    SLOW,
    back_to_speed,
    backup_snapshots,
    check_next_job,
    noisy,
    start_slow,
    start_slow_restore,
)
from .test_carried_over import NEXT, POOL

BACKUP = ("ReconfigVM_Task", "CreateSnapshot_Task", "segment", "RemoveSnapshot_Task")
RESTORE = (
    "CreateVM_Task",
    "Rename_Task",
    "segment",
    "CreateSnapshot_Task",
    "RevertToSnapshot_Task",
)


@pytest.mark.parametrize("moment", BACKUP)
def test_a_backup_is_canceled(proxy: Proxy, moment: str) -> None:
    machine = noisy(proxy, job=SLOW if moment == "segment" else "")
    if moment == "ReconfigVM_Task":
        machine.reconfigure(changeTrackingEnabled=False)  # the job switches it on again
    jobid = start_slow(proxy, machine, moment)
    proxy.bareos.console(f"cancel jobid={jobid} yes")
    job = proxy.bareos.wait(jobid)
    assert job.status == "A", job.log
    until(lambda: backup_snapshots(machine) == [] and not proxy.remains())
    back_to_speed(proxy)
    check_next_job(proxy, machine)


@pytest.fixture(scope="module")
def saved(running: Proxy) -> tuple[str, int, Portrait]:
    """A VM with a fork and some MiB of data: its name, a VirtualFull of it, its portrait."""
    running.begin()
    running.bareos.configuration.add("pool", "kept", POOL)
    machine = noisy(running, job=NEXT)
    draw(machine, "A\n  B\n  C *\n")
    for level in ("Full", "Incremental"):
        check_ok(running.bareos.backup(machine.name, level))
    virtual = running.bareos.backup(machine.name, "VirtualFull").jobid
    made = machine.name, virtual, machine.portrait()
    running.clean_up()
    return made


@pytest.mark.parametrize("spooled", [False, True], ids=["streamed", "spooled"])
@pytest.mark.parametrize("moment", RESTORE)
def test_a_restore_is_canceled(
    proxy: Proxy, saved: tuple[str, int, Portrait], moment: str, spooled: bool
) -> None:
    """While files come, or (from a VirtualFull) at the end, when all wait in the spool."""
    name, virtual, before = saved
    how: dict[str, Any] = {"jobs": [virtual]} if spooled else {}
    jobid = start_slow_restore(proxy, name, moment, **how)
    proxy.bareos.console(f"cancel jobid={jobid} yes")
    back_to_speed(proxy)
    job = proxy.bareos.wait(jobid)
    assert job.status == "A", job.log
    until(lambda: not proxy.remains())
    if moment == "Rename_Task":  # the last step, which cannot be stopped: all has come back
        assert proxy.vm_names() == [name]
        assert proxy.find(name).portrait() == before
    else:
        assert proxy.vm_names() in ([], [f"{name} (incomplete restore)"])
    proxy.clean_up()
    check_ok(proxy.bareos.restore(name, **how))
    assert proxy.find(name).portrait() == before


def test_the_storage_is_full(proxy: Proxy) -> None:
    """The storage daemon waits for a volume that does not come, until the job is canceled."""
    bareos = proxy.bareos
    bareos.configuration.add(
        "pool",
        "tiny",
        "Pool {\n  Name = tiny\n  Pool Type = Backup\n  Maximum Volumes = 1\n  "
        'Maximum Volume Bytes = 2 MB\n  Label Format = "tiny-"\n}\n',
    )
    machine = noisy(proxy, job="  Full Backup Pool = tiny\n", size=32 * MIB)
    jobid = bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    until(lambda: backup_snapshots(machine))
    until(lambda: "Cannot find any appendable volumes" in bareos.job(jobid).log)
    bareos.console(f"cancel jobid={jobid} yes")
    job = bareos.wait(jobid)
    assert job.status == "A", job.log
    until(lambda: not proxy.remains())
    assert backup_snapshots(machine) == []
