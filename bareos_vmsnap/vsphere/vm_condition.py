# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reads what somebody else could have changed of a VM between two steps of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.tree.vm_changes import Condition, SnapshotEntry
from bareos_vmsnap.vsphere import disks, history, markers, snapshots
from bareos_vmsnap.vsphere.session import Session

_TREE = "snapshot"
_POWER = "runtime.powerState"
_HOST = "runtime.host"
_DEVICES = "config.hardware.device"
_CPUS, _MEMORY, _TRACKING = "CPUs", "memory (MB)", "changed block tracking"
_HARDWARE = {
    "config.hardware.numCPU": _CPUS,
    "config.hardware.memoryMB": _MEMORY,
    "config.changeTrackingEnabled": _TRACKING,
}
_OPTIONS = "config.extraConfig"
_VERSION = "config.changeVersion"
_TASKS = "recentTask"
# Of these at least one is posted when a VM is started, by whomever.
_RUNNING = (
    vim.event.VmPoweredOnEvent,
    vim.event.VmStartingEvent,
    vim.event.VmResumingEvent,
    vim.event.VmResettingEvent,
)


@dataclass(frozen=True)
class Seen:
    """A VM's condition, and what goes with it, all of one moment.

    `change_version` is that of the configuration: given back in a ConfigSpec, vSphere refuses it
    if the configuration has changed. `tasks` are the morefs of recent tasks.
    """

    condition: Condition
    devices: Any
    host: Any
    change_version: str
    tasks: frozenset[str]


def read(session: Session, moref: str) -> Optional[Seen]:
    """The VM as it is, in one call, or None if it does not exist any more."""
    paths = (_TREE, _POWER, _HOST, _DEVICES, _OPTIONS, _VERSION, _TASKS, *_HARDWARE)
    found = session.read_all(vim.VirtualMachine, [moref], paths).get(moref, {})
    if _DEVICES not in found:
        return None
    info = found.get(_TREE)
    current = info.currentSnapshot if info is not None else None
    condition = Condition(
        snapshots={
            item.moref: SnapshotEntry(item.tree.name, item.tree.description or "", item.parent)
            for item in snapshots.items(info)
        },
        current=current._moId if current is not None else None,
        power_state=str(found[_POWER]),
        disks={disk.disk.key: disk.disk for disk in disks.find(found[_DEVICES])},
        mark=markers.restored_mark(found.get(_OPTIONS)),
        hardware=_hardware(found),
        devices=_devices(found[_DEVICES]),
    )
    return Seen(
        condition,
        found[_DEVICES],
        found.get(_HOST),
        found.get(_VERSION, ""),
        frozenset(task._moId for task in found.get(_TASKS, [])),
    )


def _hardware(found: Mapping[str, Any]) -> dict[str, str]:
    """See Condition.hardware. That changes are tracked may be unset, which means no."""
    hardware = {name: str(found.get(path)) for path, name in _HARDWARE.items()}
    return {**hardware, _TRACKING: str(bool(found.get("config.changeTrackingEnabled")))}


def hardware(node: segment_header.Node, change_tracking: bool) -> dict[str, str]:
    """Condition.hardware of a VM that is as at this node, and tracks changes or does not."""
    values = {_CPUS: node.cpus, _MEMORY: node.memory_mb, _TRACKING: change_tracking}
    return {name: str(value) for name, value in values.items()}


def _devices(devices: Iterable[Any]) -> dict[str, str]:
    """See Condition.devices."""
    return {
        f"{device.deviceInfo.label if device.deviceInfo else 'device'} ({device.key})": kind(device)
        for device in devices
        if not isinstance(device, vim.vm.device.VirtualDisk)
    }


def kind(device: Any) -> str:
    """The type of a device."""
    return type(device).__name__.rpartition(".")[2]


def kinds_after(devices: Optional[Mapping[str, str]], spec: Any) -> Counter[str]:
    """How many devices of each type there are after a reconfiguration of what has these."""
    counts = Counter((devices or {}).values())
    for change in (spec.deviceChange or []) if spec is not None else []:
        if not isinstance(change.device, vim.vm.device.VirtualDisk):
            counts[kind(change.device)] += {"add": 1, "remove": -1}.get(str(change.operation), 0)
    return +counts


def read_frozen(session: Session, moref: str) -> Optional[tuple[Optional[str], dict[int, str]]]:
    """The restore's mark and the disks' files (by key) in a snapshot's configuration.

    None if the snapshot does not exist any more.
    """
    found = session.read_all(vim.vm.Snapshot, [moref], (_DEVICES, _OPTIONS)).get(moref, {})
    if _DEVICES not in found:
        return None
    paths = {disk.disk.key: disk.disk.path for disk in disks.find(found[_DEVICES])}
    return markers.restored_mark(found.get(_OPTIONS)), paths


@dataclass(frozen=True)
class Deeds:
    """What was done to a VM: whether it was started, and the morefs of the tasks that reverted it."""

    started: bool
    reverts: frozenset[str]


def deeds(session: Session, tasks: frozenset[str]) -> Deeds:
    """What these tasks do."""
    infos = session.read(vim.Task, tasks, "info") if tasks else {}
    names = {moref: (info.descriptionId or "").lower() for moref, info in infos.items()}
    return Deeds(
        any("poweron" in name for name in names.values()),
        frozenset(moref for moref, name in names.items() if history.REVERT in name),
    )


def past(session: Session, vm: Any) -> Deeds:
    """What was done to the VM at any time, by its events."""
    by_entity = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
    spec = vim.event.EventFilterSpec(entity=by_entity)
    events = session.content.eventManager.QueryEvents(spec)
    return Deeds(
        any(isinstance(event, _RUNNING) for event in events),
        frozenset(
            event.info.key
            for event in events
            if isinstance(event, vim.event.TaskEvent) and history.REVERT in history.label(event)
        ),
    )
