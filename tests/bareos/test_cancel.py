# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Canceled jobs end as canceled and clean up, whatever they were doing."""

from __future__ import annotations

import time

import pytest

from ..e2e.hardware import MIB
from .joblog import check_ok
from .proxy import Proxy, until
from .slow_jobs import SLOW, backup_snapshots, check_next_job, noisy


@pytest.mark.parametrize("moment", ["CreateSnapshot_Task", "segment", "RemoveSnapshot_Task"])
def test_a_backup_is_canceled(proxy: Proxy, moment: str) -> None:
    machine = noisy(proxy, job=SLOW if moment == "segment" else "")
    proxy.lab.habits.task_seconds_of[moment] = 4
    jobid = proxy.bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    if moment == "segment":
        until(proxy.movers)
        time.sleep(0.5)
    else:
        until(lambda: proxy.runs(moment))
    proxy.bareos.console(f"cancel jobid={jobid} yes")
    job = proxy.bareos.wait(jobid)
    assert job.status == "A", job.log
    until(lambda: backup_snapshots(machine) == [] and not proxy.remains())
    proxy.lab.habits.task_seconds_of.clear()
    check_next_job(proxy, machine)


@pytest.mark.parametrize("moment", ["CreateVM_Task", "segment"])
def test_a_restore_is_canceled(proxy: Proxy, moment: str) -> None:
    machine = noisy(proxy, job="")
    name = machine.name
    check_ok(proxy.bareos.backup(name))
    machine.destroy()
    proxy.lab.habits.task_seconds_of[moment] = 4
    if moment == "segment":
        proxy.bareos.console("setbandwidth client=vmware-proxy-fd limit=1000")
    jobid = proxy.bareos.start_restore(name)
    if moment == "segment":
        until(proxy.movers)
    else:
        until(lambda: proxy.runs(moment))
    proxy.bareos.console(f"cancel jobid={jobid} yes", "setbandwidth client=vmware-proxy-fd limit=0")
    job = proxy.bareos.wait(jobid)
    assert job.status == "A", job.log
    until(lambda: not proxy.remains())
    assert set(proxy.vm_names()) <= {f"{name} (incomplete restore)"}


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
