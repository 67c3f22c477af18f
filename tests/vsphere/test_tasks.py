# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waiting for tasks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import tasks
from bareos_vmsnap.vsphere.session import Session
from vmsnap_lab.lab import Lab

numbers = iter(range(100))


def start(lab: Lab, session: Session, seconds: float) -> tuple[Any, Any]:
    """A VM, and the task of taking a snapshot of it that lasts so long."""
    guest = lab.create_vm(f"vm{next(numbers)}", disks=[])
    vm: Any = session.managed(vim.VirtualMachine, guest.moref)
    lab.habits.task_seconds_of["CreateSnapshot_Task"] = seconds
    return vm, vm.CreateSnapshot_Task("s", "", False, False)


def test_the_session_expires_while_a_task_runs(lab: Lab, session: Session) -> None:
    vm, task = start(lab, session, 2)
    threading.Timer(0.1, lab.vcenter.sessions.expire_all).start()
    assert tasks.Waiter().wait(task, "Waiting") == vm.snapshot.currentSnapshot


class Pauses(threading.Event):
    """How long the pauses were, and after how long they began."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float]] = []
        self._began = time.monotonic()

    def wait(self, timeout: Optional[float] = None) -> bool:
        assert timeout is not None
        self.seen.append((timeout, time.monotonic() - self._began))
        return super().wait(timeout)


def test_the_end_of_a_task_is_noticed_soon(lab: Lab, session: Session) -> None:
    """After a fifth of the time it took, which is what the longest pause is."""
    _, task = start(lab, session, 1)
    pauses = Pauses()
    tasks.Waiter(pauses).wait(task, "Waiting")
    assert len(pauses.seen) > 2
    for pause, taken in pauses.seen:
        assert pause <= max(0.02, taken / 5)


def test_a_task_that_lasts_too_long(lab: Lab, session: Session) -> None:
    _, task = start(lab, session, 10)
    with pytest.raises(tasks.TaskFailedError, match=r"Waiting \(no end after 0 s\) failed"):
        tasks.Waiter().wait(task, "Waiting", timeout=0.2)


def test_a_canceled_task_is_stopped(lab: Lab, session: Session) -> None:
    vm, task = start(lab, session, 20)
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(errors.Canceled, match="Waiting was interrupted"):
        tasks.Waiter(cancel).wait(task, "Waiting")
    assert task.info.state == "error"
    assert vm.snapshot is None


def test_cleaning_up_does_not_heed_the_cancel(lab: Lab, session: Session) -> None:
    vm, task = start(lab, session, 0.3)
    cancel = threading.Event()
    cancel.set()
    tasks.Waiter(cancel).wait(task, "Waiting", heed_cancel=False)
    assert vm.snapshot is not None


@contextlib.contextmanager
def unanswered(lab: Lab, fault: Any, times: int = 10**9) -> Iterator[list[str]]:
    """Reading a property is answered with a fault, so many times; the list is of those."""
    met: list[str] = []

    def hook(method: str, _: Any) -> None:
        if method == "Fetch" and len(met) < times:
            met.append(method)
            raise fault

    lab.habits.before_call = hook
    try:
        yield met
    finally:
        lab.habits.before_call = None


PASSING = (
    vmodl.fault.HostCommunication(),
    vmodl.fault.SystemError(reason="busy"),
    vmodl.RuntimeFault(),
    vim.fault.InvalidState(),
    ConnectionError(),
)


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: type(fault).__name__)
def test_a_fault_of_the_question_is_none_of_the_task(
    lab: Lab, session: Session, fault: Any
) -> None:
    vm, task = start(lab, session, 0.3)
    with unanswered(lab, fault, 6) as met:
        taken = tasks.Waiter().wait(task, "Waiting")
    assert len(met) == 6
    assert taken == vm.snapshot.currentSnapshot


def test_the_end_of_a_task_that_cannot_be_learnt(
    lab: Lab, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no failed task; it can be asked once more."""
    monkeypatch.setattr(tasks, "_LONGEST_SILENCE", 0.5)
    vm, task = start(lab, session, 0.3)
    fault = vmodl.fault.HostCommunication(msg="The host is silent")
    with unanswered(lab, fault) as met, pytest.raises(tasks.EndUnknownError) as raised:
        tasks.Waiter().wait(task, "Waiting")
    assert 5 < len(met) < 30
    assert "does not tell how that ended (HostCommunication: The host is silent)" in str(
        raised.value
    )
    assert not isinstance(raised.value, tasks.TaskFailedError)
    assert tasks.Waiter().wait(raised.value.task, "Waiting") == vm.snapshot.currentSnapshot


def test_answers_in_between_end_the_silence(
    lab: Lab, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_LONGEST_SILENCE", 0.4)
    vm, task = start(lab, session, 1.5)
    asked = 0

    def hook(method: str, _: Any) -> None:
        nonlocal asked
        if method == "Fetch":
            asked += 1
            if asked % 2:
                raise vmodl.fault.HostCommunication()

    lab.habits.before_call = hook
    try:
        taken = tasks.Waiter().wait(task, "Waiting")
    finally:
        lab.habits.before_call = None
    assert asked > 4
    assert taken == vm.snapshot.currentSnapshot


def test_a_task_that_vsphere_has_forgotten(lab: Lab, session: Session) -> None:
    task = session.managed(vim.Task, "task-99999")
    with pytest.raises(tasks.EndUnknownError, match="ManagedObjectNotFound"):
        tasks.Waiter().wait(task, "Waiting")


def test_a_silent_vsphere_does_not_keep_from_canceling(lab: Lab, session: Session) -> None:
    vm, task = start(lab, session, 20)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    with unanswered(lab, vmodl.fault.HostCommunication(), 5), pytest.raises(errors.Canceled):
        tasks.Waiter(cancel).wait(task, "Waiting")
    assert vm.snapshot is None


def test_faults_in_words() -> None:
    message = vmodl.LocalizableMessage(key="k", message="why it was so")
    fault = vim.fault.FileFault(msg="It failed", file="[ds] a.vmdk", faultMessage=[message])
    assert tasks.describe(fault).endswith("FileFault: It failed; why it was so; file [ds] a.vmdk")
    denied = vim.fault.NoPermission(msg="Denied", privilegeId="VirtualMachine.State.X")
    assert "privilegeId VirtualMachine.State.X" in tasks.describe(denied)
    assert tasks.describe(None) == "vSphere gave no reason"
