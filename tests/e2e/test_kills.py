# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Processes die and jobs are canceled in the middle; nothing of the job stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap.vsphere import preflight
from vmsnap_lab.filedaemon import Cancel, JobResult

from . import processes
from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
from .large_vm import make_vm
from .site import Site


def door(site: Site, vm: str, snapshot: str) -> Path:
    """The socket behind which the disk is."""
    uri = site.lab.nbd_uri.format(vm=vm, snapshot=snapshot, disk=2000)
    return Path(uri.partition("socket=")[2])


def kill(pids: list[int]) -> None:
    assert pids, "there is no such process"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def when_writing(site: Site, act: Callable[[str], None]) -> Callable[[], None]:
    """Do something as soon as the mover of a restore has data on the disk of the new VM.

    The job is to restore it with the rate limit SLOW, so that the mover is not done before that is seen.
    """

    def wait() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for vm in site.lab.vcenter.vms():
                path = site.lab.guest(vm.moid).path(2000)
                if site.lab.store.size_on_datastore(path) > MIB:
                    act(vm.moid)
                    return
            time.sleep(0.002)

    return wait


SLOW = "4"  # MiB a second


def check_canceled(job: JobResult) -> None:
    assert job.status == "A", log(job)
    assert job.crash is None
    assert said(job, "M_FATAL") == [], log(job)


def test_the_mover_is_killed_in_a_backup(site: Site) -> None:
    machine = make_vm(site)
    job = site.backup(cancel=During(lambda: kill(site.working_movers()), stored=MIB))
    message = check_failed(job, r"Segment .*s0001-A/scsi0-0.*vmseg was not saved whole: ")
    assert "SIGKILL" in message
    assert machine.snapshot_names == ["A", "B"]
    assert site.daemon.files(job.jobid) == []


def test_the_server_of_the_disk_is_killed_in_a_backup(site: Site) -> None:
    machine = make_vm(site)
    snapshot = machine.roots[0].snapshot._moId
    socket = door(site, machine.guest.moref, snapshot)
    job = site.backup(cancel=During(lambda: kill(processes.servers_of(socket)), stored=MIB))
    message = check_failed(job, r"Segment .*s0001-A/scsi0-0.*vmseg was not saved whole: ")
    assert "read" in message
    assert machine.snapshot_names == ["A", "B"]


def test_the_mover_is_killed_in_a_restore(site: Site) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    act = when_writing(site, lambda vm: kill(site.working_movers()))
    job = site.restore(cancel=During(act, "plugin_io IO_OPEN", 2), rate_limit=SLOW)
    message = check_failed(job, r"Segment .*s0001-A/scsi0-0.*vmseg was not restored: ")
    assert "SIGKILL" in message
    assert site.vm_names() == ["web1 (incomplete restore)"]
    assert site.find("web1 (incomplete restore)").snapshot_names == []


def test_the_server_of_the_disk_is_killed_in_a_restore(site: Site) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    act = when_writing(site, lambda vm: kill(processes.servers_of(door(site, vm, "current"))))
    during = During(act, "plugin_io IO_OPEN", 2)
    job = site.restore(cancel=during, restore_on_failure="remove", rate_limit=SLOW)
    lost = "write of|connection lost"  # the latter between two writes
    check_failed(job, rf"Segment .*s0001-A/scsi0-0.*vmseg was not restored: .*({lost})")
    assert site.vm_names() == []


class CancelDuring(Cancel):
    """Cancels while a task of that method runs; they take so long that it is seen running."""

    def __init__(self, site: Site, method: str) -> None:
        super().__init__()
        site.lab.habits.task_seconds_of[method] = 3.0
        what = {"RemoveSnapshot_Task": "Snapshot.remove"}.get(method, method.partition("_")[0])
        watching = (site.lab.vcenter.tasks, what.lower())
        threading.Thread(target=self._watch, args=watching, daemon=True).start()

    def _watch(self, tasks: Any, what: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for task in tasks.recentTask:
                if task.info.state == "running" and what in task.info.descriptionId.lower():
                    self.request()
                    return
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("method", "may_cancel"),
    [("CreateSnapshot_Task", True), ("CreateSnapshot_Task", False), ("RemoveSnapshot_Task", True)],
)
def test_a_backup_canceled_in_a_task(site: Site, method: str, may_cancel: bool) -> None:
    machine = make_vm(site)
    granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES]
    granted += ["Global.CancelTask"] if may_cancel else []
    site.lab.vcenter.add_user("backup", site.lab.password, granted)
    check_canceled(site.backup(vcuser="backup", cancel=CancelDuring(site, method)))
    assert site.remains() == []
    assert machine.snapshot_names == ["A", "B"]
    time.sleep(1)
    assert machine.snapshot_names == ["A", "B"], "a snapshot came late"


@pytest.mark.parametrize("cancel", [Cancel("plugin_io IO_OPEN", 2), Cancel(stored=MIB)])
def test_a_backup_canceled_in_a_segment(site: Site, cancel: Cancel) -> None:
    machine = make_vm(site)
    check_canceled(site.backup(cancel=cancel))
    assert site.remains() == []
    assert machine.snapshot_names == ["A", "B"]


@pytest.mark.parametrize("method", ["CreateVM_Task", "CreateSnapshot_Task"])
def test_a_restore_canceled_in_a_task(site: Site, method: str) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    check_left_incomplete(site, site.restore(cancel=CancelDuring(site, method)))


def test_a_restore_canceled_while_it_writes(site: Site) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    act = when_writing(site, lambda vm: during.request())
    during = During(act, "plugin_io IO_OPEN", 2)
    check_left_incomplete(site, site.restore(cancel=during, rate_limit=SLOW))


def check_left_incomplete(site: Site, job: JobResult) -> None:
    check_canceled(job)
    assert site.remains() == []
    left = site.vm_names()
    (message,) = said(job, "M_ERROR")
    if left:
        assert left == ["web1 (incomplete restore)"]
        assert "Left behind: the incomplete VM web1 (incomplete restore) (vm-" in message
    else:
        assert "Left behind: nothing" in message
    time.sleep(1)
    assert site.vm_names() == left, "something came late"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_file_daemon_dies_in_a_backup(site: Site, how: int) -> None:
    machine = make_vm(site)
    before = machine.portrait()
    job = site.backup(cancel=Cancel(stored=MIB, signal=how))
    assert job.status == "f"
    assert machine.snapshot_names == ["A", "B", f"vmsnap backup {job.name}"]
    site.lab.vcenter.sessions.expire_all()  # nobody could log out
    site.log_in()
    deadline = time.monotonic() + 60
    while site.movers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert site.movers() == [], "the mover outlives its file daemon"
    following = site.backup()
    assert following.status == "T"
    (warning,) = said(following, "M_WARNING")
    assert f"deleting the backup snapshot that job {job.name} left behind" in warning
    site.find().destroy()
    check_ok(site.restore())
    assert site.find().portrait().faces == before.faces


def test_the_file_daemon_dies_in_a_restore(site: Site) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    act = when_writing(site, lambda vm: during.request())
    during = During(act, "plugin_io IO_OPEN", 2, signal=signal.SIGKILL)
    assert site.restore(cancel=during, rate_limit=SLOW).status == "f"
    check_movers_end(site)
    site.lab.vcenter.sessions.expire_all()  # nobody could log out
    site.log_in()
    assert site.vm_names() == ["web1 (incomplete restore)"]
    message = check_failed(site.restore(), r"web1 \(incomplete restore\) exists in folder /")
    assert "Remove or rename it" in message
    site.find("web1 (incomplete restore)").destroy()
    for path in (site.directory / "bareos" / "working").glob("*spool*"):
        assert list(path.iterdir()) != []  # the NVRAM; the next that spools removes it
        shutil.rmtree(path)


def check_movers_end(site: Site) -> None:
    """They do not outlive their file daemon for long, nor do the servers of the disks they had."""
    deadline = time.monotonic() + 60
    while (site.movers() or site.open_disks()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert site.movers() == []
    assert site.open_disks() == []
