# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A backup snapshot of which vSphere does not say whether it was taken, or that it deletes late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.fd import backup_snapshot
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.vsphere import patience, tasks
from bareos_vmsnap.vsphere.session import Server, Session, SessionError
from vmsnap_lab.lab import Lab


class Log:
    """Keeps the ids and texts of what is more than a remark."""

    failed = False

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def info(self, text: str) -> None:
        """No message of interest."""

    def warn(self, id: str, text: str, *causes: str) -> None:
        self.said.append((id, text))

    error = fatal = warn

    def failure(self, error: BaseException) -> None:
        raise error


class Job:
    """A VM with a snapshot of a user, and a job's backup snapshot of it."""

    def __init__(self, lab: Lab, session: Session, directory: Path) -> None:
        self.lab = lab
        self.session = session
        guest = lab.create_vm("web1", disks=[])
        self.vm: Any = session.managed(vim.VirtualMachine, guest.moref)
        self.log = Log()
        info = JobInfo(1, "job.2026-11-22_10.00.00_05", "F", "proxy", directory)
        waiter = tasks.Waiter(info.cancel)
        tasks.Waiter().wait(self.vm.CreateSnapshot_Task("mine", "", False, False), "Taking")
        self.snapshot = backup_snapshot.BackupSnapshot(self.vm, waiter, info, self.log)

    def take(self) -> None:
        self.snapshot.take(Options(quiesce=False))

    def snapshots(self) -> list[str]:
        return [snapshot.name for vm in self.lab.vcenter.vms() for snapshot in vm.tree.all()]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """Its patience with a silent vSphere is half a second."""
    monkeypatch.setattr(tasks, "_LONGEST_SILENCE", 0.5)
    with Lab(tmp_path / "lab") as lab:
        server = Server(lab.host, lab.user, lab.password, lab.port, ca_file=str(lab.ca_file))
        session = Session(server)
        yield Job(lab, session, tmp_path)
        lab.habits.before_call = None
        session.close()


def keep_silent(lab: Lab, seconds: float) -> None:
    """Let no property be read for so long after the snapshot was asked for."""
    until: list[float] = []

    def hook(method: str, _: Any) -> None:
        if method == "CreateSnapshot_Task":
            until.append(time.monotonic() + seconds)
        elif method == "Fetch" and until and time.monotonic() < until[0]:
            raise vmodl.fault.HostCommunication(msg="The host is silent")

    lab.habits.before_call = hook


def test_a_snapshot_that_comes_after_the_job_gave_up(job: Job) -> None:
    job.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 2.5
    keep_silent(job.lab, 1)
    with pytest.raises(tasks.EndUnknownError, match="does not tell how that ended"):
        job.take()
    assert job.snapshots() == ["mine"]  # still
    job.snapshot.delete()
    assert job.snapshots() == ["mine"]
    assert job.log.said == []


def test_a_snapshot_of_which_nothing_can_be_known(job: Job) -> None:
    """It is reported, as it will be there."""
    job.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 6
    keep_silent(job.lab, 3.5)
    with pytest.raises(tasks.EndUnknownError):
        job.take()
    job.snapshot.delete()
    (id, text), *others = job.log.said
    assert id == "backup-snapshot-left"
    assert "The host is silent" in text
    assert others == []


@pytest.mark.parametrize("seconds", [0.0, 6.0], ids=["taken", "not yet taken"])
def test_a_task_that_vsphere_has_forgotten(job: Job, seconds: float) -> None:
    """As after a restart of vCenter: what is there is deleted, what may come is reported."""
    job.lab.habits.task_seconds_of["CreateSnapshot_Task"] = seconds
    asked: list[str] = []

    def hook(method: str, session: Any) -> None:
        if method == "CreateSnapshot_Task":
            asked.append(method)
        elif method == "Fetch" and asked and len(asked) < 3:
            asked.append(method)
            time.sleep(0.5)  # for the task without duration
            raise vmodl.fault.ManagedObjectNotFound(obj=job.vm)

    job.lab.habits.before_call = hook
    with pytest.raises(tasks.EndUnknownError):
        job.take()
    job.snapshot.delete()
    assert job.snapshots() == ["mine"]
    assert [id for id, _ in job.log.said] == (["backup-snapshot-left"] if seconds else [])


def test_a_request_whose_answers_were_lost(job: Job) -> None:
    """Its tasks are running when the job ends; their results are awaited and deleted."""
    job.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 1
    job.lab.habits.fail("CreateSnapshot_Task", ConnectionError(), times=9, after=True)
    with pytest.raises(SessionError):
        job.take()
    job.lab.habits.forgive()
    job.snapshot.delete()
    assert job.snapshots() == ["mine"]
    assert job.log.said == []


PASSING = (
    vmodl.fault.HostCommunication(),
    vmodl.RuntimeFault(),
    vmodl.fault.SystemError(reason="busy"),
    vim.fault.InvalidState(),
    vim.fault.TaskInProgress(task=vim.Task("task-1")),
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between the attempts are short."""
    monkeypatch.setattr(patience, "_SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "_LONGEST_PAUSE", 0.1)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("after", [False, True], ids=["failed", "only said to have failed"])
def test_faults_of_the_deletion_that_pass(job: Job, after: bool) -> None:
    job.take()
    for fault in PASSING:
        job.lab.habits.fail("RemoveSnapshot_Task", fault, times=1 if after else 2, after=after)
    job.snapshot.delete()
    assert job.snapshots() == ["mine"]
    assert job.log.said == []


@pytest.mark.usefixtures("hasty")
def test_faults_of_all_calls_of_the_deletion(job: Job) -> None:
    """Whatever is asked for: whether it is there, its deletion, whether disks are consolidated."""
    job.take()
    calls: dict[str, int] = {}

    def hook(method: str, session: Any) -> None:
        calls[method] = calls.get(method, 0) + 1
        if calls[method] % 2:
            raise vmodl.fault.HostCommunication()

    job.lab.habits.before_call = hook
    job.snapshot.delete()
    job.lab.habits.before_call = None
    assert calls["RemoveSnapshot_Task"] == 2
    assert calls["Fetch"] > 5
    assert job.snapshots() == ["mine"]
    assert job.log.said == []


@pytest.mark.usefixtures("hasty")
def test_a_fault_of_the_deletion_that_does_not_pass(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After minutes, of which this test grants one second, it is reported."""
    monkeypatch.setattr(patience, "_LONGEST", 1.0)
    job.take()
    job.lab.habits.fail("RemoveSnapshot_Task", PASSING[0], times=10**6)
    began = time.monotonic()
    job.snapshot.delete()
    assert time.monotonic() - began >= 1
    ((id, text),) = job.log.said
    assert id == "backup-snapshot-left"
    assert "failed: HostCommunication" in text
    assert job.snapshots() == ["mine", "vmsnap backup job.2026-11-22_10.00.00_05"]


def test_a_fault_of_the_deletion_that_would_come_again(job: Job) -> None:
    job.take()
    job.lab.habits.fail("RemoveSnapshot_Task", vim.fault.NoPermission(privilegeId="x"), times=2)
    job.snapshot.delete()
    assert [id for id, _ in job.log.said] == ["backup-snapshot-left"]


def test_a_marker_of_which_nothing_can_be_known(job: Job) -> None:
    """The job goes on without it, though it is written late."""
    job.lab.habits.task_seconds_of["ReconfigVM_Task"] = 1.5
    silent: list[float] = []

    def hook(method: str, _: Any) -> None:
        if method == "ReconfigVM_Task":
            silent.append(time.monotonic() + 1)
        elif method == "Fetch" and silent and time.monotonic() < silent[0]:
            raise vmodl.fault.HostCommunication(msg="The host is silent")

    job.lab.habits.before_call = hook
    job.snapshot.mark(job.session.content, Options())
    ((id, text),) = job.log.said
    assert id == "marker-not-written"
    assert "The host is silent" in text
    assert job.snapshot._marker is None


def test_a_cancel_while_vsphere_is_silent(job: Job) -> None:
    job.lab.habits.task_seconds_of["CreateSnapshot_Task"] = 20
    threading.Timer(0.2, job.snapshot._job_info.cancel.set).start()
    with pytest.raises(errors.Canceled):
        job.take()
    job.snapshot.delete()
    assert job.snapshots() == ["mine"]
    assert job.log.said == []
