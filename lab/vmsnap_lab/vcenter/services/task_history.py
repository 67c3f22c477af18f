# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Task history: TaskHistoryCollector and its filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services import history

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.services.call import Call
    from vmsnap_lab.vcenter.services.tasks import Task

_TIMES = {
    vim.TaskFilterSpec.TimeOption.queuedTime: "queueTime",
    vim.TaskFilterSpec.TimeOption.startedTime: "startTime",
    vim.TaskFilterSpec.TimeOption.completedTime: "completeTime",
}


class TaskHistoryCollector(history.HistoryCollector):
    """Filters by entity, time, user, state and event chain; the others match everything."""

    TYPE = vim.TaskHistoryCollector

    def items(self) -> list[Any]:
        return [task.info for task in self.vcenter.tasks.all if self._matches(task)]

    def _matches(self, task: Task) -> bool:
        spec, info = self.filter, task.info
        entity = self.vcenter.entity(info.entity)
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
        return history.within(entity, spec.entity, self.vcenter)

    @operation("ReadNextTasks")
    def read_next_tasks(self, call: Call, count: int) -> list[Any]:
        return self.read_next(count)

    @operation("ReadPreviousTasks")
    def read_previous_tasks(self, call: Call, count: int) -> list[Any]:
        return self.read_previous(count)
