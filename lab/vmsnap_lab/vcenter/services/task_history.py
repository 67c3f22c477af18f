# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Task history: TaskHistoryCollector and its filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter import entity as entities
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services import history
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.task import Task
from vmsnap_lab.vcenter.world import World

_TIMES = {
    vim.TaskFilterSpec.TimeOption.queuedTime: "queueTime",
    vim.TaskFilterSpec.TimeOption.startedTime: "startTime",
    vim.TaskFilterSpec.TimeOption.completedTime: "completeTime",
}


class TaskHistoryCollector(history.HistoryCollector):
    """Filters by entity, time, user, state and event chain; the others match everything."""

    TYPE = vim.TaskHistoryCollector

    def __init__(self, vcenter: World, call: Call, spec: Any, tasks: Sequence[Task]) -> None:
        """`tasks`: all there are, oldest first; it may grow."""
        super().__init__(vcenter, call, spec)
        self._tasks = tasks

    def items(self) -> list[Any]:
        return [task.info for task in self._tasks if self._matches(task)]

    def _matches(self, task: Task) -> bool:
        spec, info = self.filter, task.info
        entity = entities.find(self.vcenter, info.entity)
        if spec.state and info.state not in spec.state:
            return False
        if spec.eventChainId and info.eventChainId not in spec.eventChainId:
            return False
        if spec.userName is not None and info.reason.userName not in spec.userName.userList:
            return False
        if spec.time is not None:
            moment = getattr(info, _TIMES[spec.time.timeType])
            if moment is None or not history.at_time(moment, spec.time):
                return False
        return history.within(entity, spec.entity)

    @operation("ReadNextTasks")
    def read_next_tasks(self, call: Call, count: int) -> list[Any]:
        return self.read_next(count)

    @operation("ReadPreviousTasks")
    def read_previous_tasks(self, call: Call, count: int) -> list[Any]:
        return self.read_previous(count)
