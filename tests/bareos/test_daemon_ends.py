# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The file daemon ends or is killed in the middle of a job, where no call reaches the plugin."""

from __future__ import annotations

import signal

import pytest

from bareos_vmsnap.vsphere import markers

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

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
BACKUP = {"CreateSnapshot_Task": 1, "segment": 1, "RemoveSnapshot_Task": 0}
RESTORE = ("CreateVM_Task", "segment", "CreateSnapshot_Task")


def end_file_daemon(proxy: Proxy, jobid: int, number: int) -> str:
    """Send it the signal, wait for the job's end and that of its movers, start it again.

    Returns the job's unique name; the job has failed.
    """
    proxy.bareos.file.end_by(number)
    job = proxy.bareos.wait(jobid)
    assert job.status == "f", job.log
    until(lambda: not proxy.movers())
    proxy.bareos.file.start()
    back_to_speed(proxy)
    return job.unique_name


@SIGNALS
@pytest.mark.parametrize("moment", BACKUP)
def test_in_a_backup(proxy: Proxy, moment: str, number: int) -> None:
    """The backup snapshot stays for the next job, unless vCenter was deleting it already."""
    machine = noisy(proxy, job=SLOW if moment == "segment" else "")
    name = end_file_daemon(proxy, start_slow(proxy, machine, moment), number)
    left = [f"{markers.BACKUP_PREFIX}{name}"] * BACKUP[moment]
    until(lambda: backup_snapshots(machine) == left and not proxy.at_work)
    proxy.forget_killed()
    check_next_job(proxy, machine)


@pytest.fixture(scope="module")
def saved(running: Proxy) -> tuple[str, Portrait]:
    running.begin()
    machine = noisy(running, job="")
    draw(machine, "A\n  B\n  C *\n")
    check_ok(running.bareos.backup(machine.name))
    made = machine.name, machine.portrait()
    running.clean_up()
    return made


@SIGNALS
@pytest.mark.parametrize("moment", RESTORE)
def test_in_a_restore(proxy: Proxy, saved: tuple[str, Portrait], moment: str, number: int) -> None:
    """What it had made is marked as incomplete, by its name and in its configuration."""
    name, before = saved
    job = end_file_daemon(proxy, start_slow_restore(proxy, name, moment), number)
    until(lambda: proxy.vm_names() and not proxy.at_work)
    (left,) = proxy.vm_names()
    assert left == f"{name} (incomplete restore)"
    assert markers.restored_by(proxy.find(left).vm.config) == job
    proxy.forget_killed()
    proxy.clean_up()
    check_ok(proxy.bareos.restore(name))
    assert proxy.find(name).portrait() == before
