# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What has happened to a VM since a given time, according to vSphere's event history."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap.tree.lineage import History

_PAGE = 500
# Events are read from a little before the snapshot's creation time: the host, which sets that time,
# and vCenter, which dates events, have separate clocks. The keys of events give their order.
_MARGIN = datetime.timedelta(minutes=30)
# Parts of event types and of task descriptions after which a remembered change id may be wrong.
# Removing a snapshot is not among them: it is what every backup does with its own snapshot.
_BREAKS = {
    "revert": "a snapshot was reverted to",
    "consolidate": "disks were consolidated",
    "relocat": "the VM's files were migrated",
    "vmregistered": "the VM was registered anew",
    "registervm": "the VM was registered anew",
}


def since(content: Any, vm: Any, created: str, chain: Optional[int]) -> History:
    """The history of `vm` since its snapshot created at `created` (ISO 8601).

    `chain` is the event chain of the task that took it. If that event is not found (it was purged
    or is of another vCenter, or the user may not read events), the history is not complete.
    """
    moment = datetime.datetime.fromisoformat(created)
    try:
        events = list(_events(content, vm, moment - _MARGIN))
    except vmodl.MethodFault:
        return History(complete=False)
    creation = [event.key for event in events if event.chainId == chain]
    if chain is None or not creation:
        return History(complete=False)
    later = [_label(event) for event in events if event.key > min(creation)]
    breaks = [what for label in later for part, what in _BREAKS.items() if part in label]
    return History(complete=True, breaks=tuple(breaks))


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
    """The event's type and, for a task event, what the task does."""
    names = [type(event).__name__, getattr(event, "eventTypeId", None) or ""]
    if isinstance(event, vim.event.TaskEvent):
        names.append(event.info.descriptionId or event.info.name or "")
    return " ".join(names).lower()
