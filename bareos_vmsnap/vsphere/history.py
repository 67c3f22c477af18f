# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What has happened to a VM between two backup snapshots, according to vSphere's event history."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap.tree import disturbances
from bareos_vmsnap.tree.disturbances import Disturbance
from bareos_vmsnap.tree.lineage import History
from bareos_vmsnap.vsphere import tasks

_PAGE = 500
# The keys of events give their order; a snapshot's own creation time is by another clock.
_MARGIN = disturbances.CLOCKS
# Seconds to wait for the event of today's snapshot: vCenter may post events late.
LATEST = 10.0
_PAUSE = 0.5
_CREATION = "createsnapshot"
REVERT = "revert"  # in the names of all tasks and events that revert a VM
# Parts of event types and of task descriptions after which a remembered change id may be wrong.
# Removing a snapshot is not among them: it is what every backup does with its own snapshot.
_BREAKS = {
    REVERT: "a snapshot was reverted to",
    "consolidate": "disks were consolidated",
    "relocat": "the VM's files were migrated",
}
# Until then somebody else may have used the files.
_FROM_FILES = {
    "vmregistered": "the VM was registered anew",
    "registervm": "the VM was registered anew",
    "reloadfrompath": "the VM's configuration was loaded from another file",
    # First class disks come and go by methods of their own (VirtualMachine.AttachDisk_Task).
    "attachdisk": "a disk was attached",
    "detachdisk": "a disk was detached",
}
# Signs of a crash, in which CBT may lose changes. VmDisconnectedEvent is one as well, see _crashes().
_CRASHES = {
    "restartedonalternatehost": "the VM was restarted as its host had failed",
    "restartedbyha": "the VM was restarted as its host had failed",
}
_LOST = "the VM's host was lost from sight, and may have crashed"
# While vCenter does not see the VM, nobody tells it of reverts.
_DOUBTS = {
    "vmdisconnected": "vCenter was without connection to the VM's host",
    "vmorphaned": "the VM was orphaned",
}
_POWER_OFF = vim.vm.FlagInfo.PowerOffBehavior.powerOff
_ADD = vim.vm.device.VirtualDeviceSpec.Operation.add
_REMOVE = vim.vm.device.VirtualDeviceSpec.Operation.remove


@dataclass(frozen=True)
class Creation:
    """A backup snapshot's creation: when (ISO 8601), in which event chain, of which vCenter.

    `server` is about.instanceUuid, which a single host has not.
    """

    created: str
    chain: Optional[int]
    server: Optional[str]


def between(
    content: Any, vm: Any, then: Creation, now: Creation, cancel: threading.Event
) -> History:
    """The history of `vm` between two creations of backup snapshots, the latter just now.

    It has a gap unless both are found in one answer. A `cancel` ends the wait for the latter.
    """
    if then.server != now.server:
        return History("the previous backup was made through another vCenter")
    if _moment(now) <= _moment(then):
        return History("the clock of the VM's host was set back since the previous backup")
    deadline = time.monotonic() + LATEST
    while True:
        try:
            events = [event for event in _events(content, vm) if _matters(event, then, now)]
        except vmodl.MethodFault as fault:
            return History(f"vSphere's event history cannot be read ({tasks.describe(fault)})")
        first, last = _find(events, then), _find(events, now)
        if first is None:
            return History("vSphere's event history does not reach back to the previous backup")
        if last is not None:
            break
        if time.monotonic() > deadline or cancel.wait(_PAUSE):
            return History("vSphere's event history has not come to today's backup snapshot")
    if first >= last:
        return History("vSphere's event history is not in order")
    later = [event for event in events if event.key > first]
    return History(
        breaks=(
            *_matching(later, {**_BREAKS, **_FROM_FILES}),
            *_disks_changed(later),
            *(what for _, what in _crashes(vm, later)),
        ),
        doubts=(
            *_standing_doubts(content, vm),
            *_matching(later, _DOUBTS),
            *_behaviour_changed(later),
        ),
    )


def find_disturbances(content: Any, vm: Any, since: str) -> tuple[Disturbance, ...]:
    """What the history tells of the time since then (ISO 8601) that CBT may not know.

    That it tells nothing proves nothing. Raises vmodl.MethodFault.
    """
    begin = datetime.datetime.fromisoformat(since) - _MARGIN
    events = [e for e in _events(content, vm) if e.createdTime >= begin and _is_notable(e)]
    found = [Disturbance(_utc(event), what) for event, what in _crashes(vm, events)]
    for event in events:
        found += [Disturbance(_utc(event), what) for what in _matching([event], _FROM_FILES)]
        if isinstance(event, vim.event.VmReconfiguredEvent):
            found += _disks_exchanged(event)
    return tuple(found)


def _disks_exchanged(event: Any) -> Iterator[Disturbance]:
    """Disks that were detached, whose files may have been kept, and files that were attached."""
    for change in event.configSpec.deviceChange or []:
        device = change.device
        if not isinstance(device, vim.vm.device.VirtualDisk):
            continue
        if change.operation == _REMOVE:
            yield Disturbance(_utc(event), "the disk was detached", key=device.key)
        elif change.operation == _ADD and change.fileOperation is None:
            path = getattr(device.backing, "fileName", None) or ""
            yield Disturbance(_utc(event), "the disk's file was attached", path=path)


def _crashes(vm: Any, events: list[Any]) -> Iterator[tuple[Any, str]]:
    """Events that may be those of a crash. What has run since before a host was lost, did not."""
    boot = vm.runtime.bootTime
    for event in events:
        if isinstance(event, vim.event.VmDisconnectedEvent):
            if boot is None or boot > event.createdTime - _MARGIN:
                yield event, _LOST
            continue
        yield from ((event, what) for what in _matching([event], _CRASHES))


def _utc(event: Any) -> str:
    return str(event.createdTime.astimezone(datetime.timezone.utc).isoformat())


def _moment(creation: Creation) -> datetime.datetime:
    return datetime.datetime.fromisoformat(creation.created)


def _events(content: Any, vm: Any) -> Iterator[Any]:
    """All events of the VM. None is left out by its time: a clock that was set back dates what
    happened later before what happened earlier.
    """
    by_entity = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
    spec = vim.event.EventFilterSpec(entity=by_entity)
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


def _matters(event: Any, then: Creation, now: Creation) -> bool:
    """Whether between() has a use for the event: of a long history few have to be kept."""
    return _is_notable(event) or any(_creates(event, creation) for creation in (then, now))


def _is_notable(event: Any) -> bool:
    text = label(event)
    parts = (*_BREAKS, *_FROM_FILES, *_CRASHES, *_DOUBTS)
    return isinstance(event, vim.event.VmReconfiguredEvent) or any(part in text for part in parts)


def _find(events: list[Any], creation: Creation) -> Optional[int]:
    """The key of the event that a snapshot is being created, or None."""
    found = [event.key for event in events if _creates(event, creation)]
    return min(found, default=None)


def _creates(event: Any, creation: Creation) -> bool:
    """Whether the event is that of the creation. A number alone is no proof: a host may have begun
    to count anew, and chain 0 is that of any event.
    """
    return (
        bool(creation.chain)
        and event.chainId == creation.chain
        and isinstance(event, vim.event.TaskEvent)
        and _CREATION in label(event)
        and abs(event.createdTime - _moment(creation)) <= _MARGIN
    )


def _matching(events: list[Any], parts: dict[str, str]) -> Iterator[str]:
    labels = [label(event) for event in events]
    return (what for label in labels for part, what in parts.items() if part in label)


def label(event: Any) -> str:
    """In small letters, the event's type and, for a task event, what the task does."""
    names = [type(event).__name__, getattr(event, "eventTypeId", None) or ""]
    if isinstance(event, vim.event.TaskEvent):
        names.append(event.info.descriptionId or event.info.name or "")
    return " ".join(names).lower()


def _disks_changed(events: list[Any]) -> Iterator[str]:
    for spec in _reconfigurations(events):
        for change in spec.deviceChange or []:
            of_disk = isinstance(change.device, vim.vm.device.VirtualDisk)
            if of_disk and change.operation in (_ADD, _REMOVE):
                yield "a disk was added or removed"


def _behaviour_changed(events: list[Any]) -> Iterator[str]:
    for spec in _reconfigurations(events):
        if spec.flags is not None and spec.flags.snapshotPowerOffBehavior is not None:
            yield "what the VM does with its snapshot when it is switched off was changed"


def _reconfigurations(events: list[Any]) -> Iterator[Any]:
    return (e.configSpec for e in events if isinstance(e, vim.event.VmReconfiguredEvent))


def _standing_doubts(content: Any, vm: Any) -> Iterator[str]:
    if content.about.apiType != "VirtualCenter":
        yield "a single host may lose it"
    # Unset means powerOff.
    if vm.config.flags.snapshotPowerOffBehavior not in (None, _POWER_OFF):
        yield "the VM may revert to its snapshot when it is switched off"
