# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Tasks: work that runs behind a call and reports on itself."""

from __future__ import annotations

import copy
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults, properties
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.task_history import TaskHistoryCollector

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.services.call import Call
    from vmsnap_lab.vcenter.vcenter import VCenter
    from vmsnap_lab.vcenter.vm.machine import VirtualMachine

log = logging.getLogger(__name__)

State = vim.TaskInfo.State
RECENT = 10  # tasks in `recentTask`
STEPS = 10  # of progress while a slow task waits


class Task(Managed):
    """Its `info` is replaced, never changed, so that what was read stays as it was."""

    TYPE = vim.Task

    def __init__(self, vcenter: VCenter, moid: str, info: Any) -> None:
        super().__init__(vcenter, moid)
        info.task = self.ref
        info.key = moid
        self.info = info
        self._thread: Optional[threading.Thread] = None

    @property
    def is_over(self) -> bool:
        return self.info.state in (State.success, State.error)

    def update(self, **changes: Any) -> None:
        with self.vcenter.lock:
            info = copy.copy(self.info)
            for name, value in changes.items():
                setattr(info, name, value)
            self.info = info
        self.vcenter.notify()

    def progress(self, percent: int) -> None:
        self.update(progress=percent)

    def check_cancelled(self) -> None:
        """Raises RequestCanceled after somebody cancelled the task."""
        if self.info.cancelled:
            raise vmodl.fault.RequestCanceled(msg="The task was canceled by a user.")

    def run(self, work: Callable[[Task], Any], method: str, release: Callable[[], None]) -> None:
        """Do the work, call `release`, and settle the task with its result or its fault."""
        outcome: dict[str, Any]
        try:
            self.update(state=State.running, startTime=self.vcenter.now())
            self._linger(self.vcenter.habits.seconds_of(method))
            failure = self.vcenter.habits.next_failure(method, connection=False)
            if failure is not None and not failure.after:
                raise failure.fault
            result = work(self)
            if failure is not None:
                raise failure.fault
            outcome = {"state": State.success, "result": properties.typed(result, object)}
        except vmodl.MethodFault as fault:
            outcome = {"state": State.error, "error": fault}
        except StorageError as error:
            outcome = {"state": State.error, "error": faults.from_storage(error)}
        except Exception as error:
            log.exception("The simulation failed in %s", method)
            outcome = {"state": State.error, "error": faults.internal(error)}
        release()  # first: who sees the end of a task may start the next one
        self.settle(**outcome)

    def settle(self, **outcome: Any) -> None:
        self.update(completeTime=self.vcenter.now(), progress=None, cancelable=False, **outcome)

    def _linger(self, seconds: float) -> None:
        if seconds <= 0:
            return
        for step in range(STEPS):
            if self.vcenter.closing.is_set():
                raise vmodl.fault.RequestCanceled(msg="The service is shutting down")
            self.check_cancelled()
            self.progress(step * 100 // STEPS)
            self.vcenter.closing.wait(seconds / STEPS)
        self.check_cancelled()

    @operation("CancelTask")
    def cancel(self, call: Call) -> None:
        call.require("Global.CancelTask", self)
        if self.is_over:
            raise vim.fault.InvalidState(msg="The task is over")
        if not self.info.cancelable:
            raise vmodl.fault.NotSupported(msg="The task cannot be canceled")
        self.update(cancelled=True)

    def wait(self, timeout: float) -> bool:
        """Wait until the task is over, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self.vcenter.lock:
            while not self.is_over and time.monotonic() < deadline:
                self.vcenter.changed.wait(deadline - time.monotonic())
        return self.is_over


class TaskManager(Managed):
    """Starts tasks, each in a thread of its own, and remembers them all.

    A real vCenter forgets a task object some minutes after its end: here it stays. Not
    simulated: tasks made by clients (CreateTask), scheduled tasks.
    """

    TYPE = vim.TaskManager
    maxCollector = 32

    def __init__(self, vcenter: VCenter, moid: str) -> None:
        super().__init__(vcenter, moid)
        self.all: list[Task] = []

    @property
    def recentTask(self) -> list[Task]:
        return self.all[-RECENT:]

    @property
    def description(self) -> Any:
        return vim.TaskDescription(methodInfo=[], state=[], reason=[])

    def start(
        self,
        call: Call,
        entity: Optional[Managed],
        work: Callable[[Task], Any],
        *,
        cancelable: bool,
        exclusive: Optional[VirtualMachine],
    ) -> Task:
        """Begin a task of the call's method on `entity`; `work(task)` gives its result.

        `exclusive` is an object (a VM) that takes one task at a time: a second one fails with
        TaskInProgress.
        """
        with self.vcenter.lock:
            task = self._create(call, entity, cancelable)
            busy = exclusive.busy if exclusive is not None else None
            if busy is None and exclusive is not None:
                exclusive.busy = task
        if busy is not None:
            task.settle(state=State.error, error=in_progress(busy))
            return task
        thread = threading.Thread(
            target=task.run,
            args=(work, call.method.wsdlName, lambda: self._release(task, exclusive)),
            name=task.moid,
            daemon=True,
        )
        task._thread = thread
        thread.start()
        return task

    def _create(self, call: Call, entity: Optional[Managed], cancelable: bool) -> Task:
        method = call.method
        named = entity if isinstance(entity, ManagedEntity) else None
        info = vim.TaskInfo(
            name=getattr(method.type, method.wsdlName),
            descriptionId=description_id(method),
            entity=named.ref if named is not None else None,
            entityName=named.name if named is not None else None,
            state=State.queued,
            cancelled=False,
            cancelable=cancelable,
            reason=vim.TaskReasonUser(userName=call.user),
            queueTime=self.vcenter.now(),
            eventChainId=self.vcenter.events.next_key,
        )
        task = Task(self.vcenter, self.vcenter.objects.new_moid("task-"), info)
        self.all.append(task)
        self.vcenter.events.task_started(task, named)
        return task

    def _release(self, task: Task, exclusive: Optional[Any]) -> None:
        with self.vcenter.lock:
            if exclusive is not None and exclusive.busy is task:
                exclusive.busy = None

    def join(self, timeout: float) -> None:
        """Wait for the threads of tasks still running."""
        deadline = time.monotonic() + timeout
        for task in self.all:
            if task._thread is not None and task._thread is not threading.current_thread():
                task._thread.join(max(0.0, deadline - time.monotonic()))

    @operation("CreateCollectorForTasks")
    def create_collector(self, call: Call, spec: Any) -> TaskHistoryCollector:
        return TaskHistoryCollector.create(self.vcenter, call, spec)


def in_progress(busy: Task) -> Any:
    return vim.fault.TaskInProgress(
        task=busy.ref, msg="The operation is not allowed: another task is already in progress."
    )


def description_id(method: Any) -> str:
    """What vCenter calls a method in histories: `VirtualMachine.createSnapshot`."""
    kind = method.type.__name__
    kind = kind[len("vim.") :] if kind.startswith("vim.") else kind
    return f"{kind}.{method.name[0].lower()}{method.name[1:]}"
