# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""TaskManager: starts tasks, and remembers them."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional, Protocol

from pyVmomi import vim

from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.events import EventManager
from vmsnap_lab.vcenter.services.task import State, Task, in_progress
from vmsnap_lab.vcenter.services.task_history import TaskHistoryCollector
from vmsnap_lab.vcenter.world import World

RECENT = 10  # tasks in `recentTask`


class Exclusive(Protocol):
    """What takes one task at a time: a VM. busy: the task that works on it."""

    busy: Optional[Task]


class TaskManager(Managed):
    """Starts tasks, each in a thread of its own, and remembers them all.

    A real vCenter forgets a task object some minutes after its end: here it stays. Not
    simulated: tasks made by clients (CreateTask), scheduled tasks.
    """

    TYPE = vim.TaskManager
    maxCollector = 32

    def __init__(self, vcenter: World, moid: str, events: EventManager) -> None:
        super().__init__(vcenter, moid)
        self._events = events
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
        exclusive: Optional[Exclusive],
    ) -> Task:
        """Begin a task of the call's method on `entity`; `work(task)` gives its result.

        A second task on an `exclusive` object fails with TaskInProgress.
        """
        with self.vcenter.lock:
            task = self._create(call, entity, cancelable)
            busy = exclusive.busy if exclusive is not None else None
            if busy is None and exclusive is not None:
                exclusive.busy = task
        if busy is not None:
            task.settle(state=State.error, error=in_progress(busy))
            return task
        task.start(work, call.method.wsdlName, lambda: self._release(task, exclusive))
        return task

    def _create(self, call: Call, entity: Optional[Managed], cancelable: bool) -> Task:
        method = call.method
        named = entity if isinstance(entity, Entity) else None
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
            eventChainId=self._events.new_chain(),
        )
        task = Task(self.vcenter, self.vcenter.objects.new_moid("task-"), info)
        self.all.append(task)
        if "Revert" in method.wsdlName and self.vcenter.habits.silent_reverts:
            return task
        self._events.post(
            vim.event.TaskEvent(info=info),
            f"Task: {info.descriptionId}",
            user=call.user,
            entity=named,
            chain=info.eventChainId,
        )
        return task

    def _release(self, task: Task, exclusive: Optional[Exclusive]) -> None:
        with self.vcenter.lock:
            if exclusive is not None and exclusive.busy is task:
                exclusive.busy = None

    def join(self, timeout: float) -> None:
        """Wait for the threads of tasks still running."""
        deadline = time.monotonic() + timeout
        for task in self.all:
            task.join(max(0.0, deadline - time.monotonic()))

    @operation("CreateCollectorForTasks")
    def create_collector(self, call: Call, spec: Any) -> TaskHistoryCollector:
        return TaskHistoryCollector(self.vcenter, call, spec, self.all)


def description_id(method: Any) -> str:
    """What vCenter calls a method in histories: `VirtualMachine.createSnapshot`."""
    kind = method.type.__name__
    kind = kind[len("vim.") :] if kind.startswith("vim.") else kind
    return f"{kind}.{method.name[0].lower()}{method.name[1:]}"
