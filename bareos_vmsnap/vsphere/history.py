# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What happened to a VM since a moment, by vSphere's event history."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from pyVmomi import vim, vmodl

from bareos_vmsnap.tree.lineage import History

_PAGE = 500
# The history must show the creation of the backup snapshot itself, or it does not reach back.
_MARGIN = datetime.timedelta(minutes=10)
# Parts of event types and of task descriptions after which a remembered change id may lie.
# Removing a snapshot is not among them: it is what every backup does with its own snapshot.
_BREAKS = {
    "revert": "a snapshot was reverted to",
    "consolidate": "disks were consolidated",
    "relocat": "the VM's files were migrated",
    "vmregistered": "the VM was registered anew",
    "registervm": "the VM was registered anew",
}
_CREATION = "createsnapshot"


def since(content: Any, vm: Any, created: str) -> History:
    """The history of `vm` since its snapshot created at `created` (ISO 8601, vSphere's clock).

    Where the user may not read events, or they are purged by now, it is not complete.
    """
    moment = datetime.datetime.fromisoformat(created)
    reaches_back = False
    breaks = []
    try:
        for event in _events(content, vm, moment - _MARGIN):
            label = _label(event)
            if _CREATION in label and abs(event.createdTime - moment) <= _MARGIN:
                reaches_back = True
            if event.createdTime > moment:
                breaks += [what for part, what in _BREAKS.items() if part in label]
    except vmodl.MethodFault:
        return History(complete=False)
    return History(reaches_back, tuple(breaks))


def _events(content: Any, vm: Any, begin: datetime.datetime) -> Iterator[Any]:
    by_entity = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
    by_time = vim.event.EventFilterSpec.ByTime(beginTime=begin)
    spec = vim.event.EventFilterSpec(entity=by_entity, time=by_time)
    collector = content.eventManager.CreateCollectorForEvents(spec)
    try:
        collector.RewindCollector()
        while True:
            page = collector.ReadNextEvents(_PAGE)
            if not page:
                return
            yield from page
    finally:
        collector.DestroyCollector()


def _label(event: Any) -> str:
    """The event's type and, of a task's event, what the task does."""
    words = [type(event).__name__, getattr(event, "eventTypeId", None) or ""]
    if isinstance(event, vim.event.TaskEvent):
        words.append(event.info.descriptionId or event.info.name or "")
    return " ".join(words).lower()
