# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""QueryChangedDiskAreas: the answer in pages, and its faults.

The faults and their message keys are those of ESXi's hostd, as the table of the vSphere CSI
driver lists them.
"""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.vm import buses, disk_devices, power
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

DiskChangeInfo = vim.VirtualMachine.DiskChangeInfo
_KEYS = {
    "no-track": ("noTrack", "Change tracking is not enabled for the disk"),
    "no-epoch": ("noEpoch", "Cannot get the current epoch of the disk"),
    "cannot-get-changes": ("cannotGetChanges", "Cannot get the changes since the given change ID"),
    "corrupt": ("cannotGetChanges", "Cannot get the changes: the change tracking file is corrupt"),
}
_ARGUMENTS = {"bad-change-id": "changeId", "bad-offset": "startOffset"}


def query(vm: Machine, snapshot: Optional[Snapshot], key: int, start: int, change_id: str) -> Any:
    """One page of what changed on a disk, from byte `start` on.

    Raises InvalidArgument (snapshot, deviceKey, startOffset, changeId), FileFault.
    """
    device = _device(vm, snapshot, key)
    path = vm.vcenter.disk_path(device.backing.fileName)
    capacity = device.capacityInBytes
    if not 0 <= start < capacity:
        raise faults.invalid_argument("startOffset")
    if snapshot is None and vm.powerState != power.OFF:
        raise faults.locked(path)
    try:
        once = vm.vcenter.habits.areas_once
        areas = vm.vcenter.store.changed_areas(path, change_id, 0 if once else start)
    except StorageError as error:
        raise _fault(error, path) from error
    if once:  # an area that began before was named then
        areas = [area for area in areas if area.start >= start]
    return _page(vm, areas, start, capacity)


def _device(vm: Machine, snapshot: Optional[Snapshot], key: int) -> Any:
    if snapshot is not None and snapshot.vm is not vm:
        raise faults.invalid_argument("snapshotId")
    config = vm.live if snapshot is None else snapshot.frozen
    device = buses.find(config.hardware.device, key)
    if not isinstance(device, vim.vm.device.VirtualDisk) or disk_devices.is_physical_rdm(device):
        raise faults.invalid_argument("deviceKey")
    return device


def _page(vm: Machine, areas: Any, start: int, capacity: int) -> Any:
    """As many areas, and as much of the disk, as the habits allow in one answer."""
    habits = vm.vcenter.habits
    end = capacity
    if habits.page_bytes is not None:
        end = min(end, start + habits.page_bytes)
    if habits.empty_pages and areas and areas[0].start > start:
        end = min(end, areas[0].start)
    shown: list[Any] = []
    for area in areas:
        if area.start >= end:
            break
        if len(shown) == habits.page_areas:
            end = area.start
            break
        length = area.length if habits.areas_once else min(area.length, end - area.start)
        shown.append(DiskChangeInfo.DiskChangeExtent(start=area.start, length=length))
    if len(shown) == habits.page_areas:
        # The page ends with its last area, as the caller sees it.
        end = min(end, shown[-1].start + shown[-1].length)
    return DiskChangeInfo(startOffset=start, length=end - start, changedArea=shown)


def _fault(error: StorageError, path: str) -> Any:
    if error.kind in _ARGUMENTS:
        return faults.invalid_argument(_ARGUMENTS[error.kind])
    if error.kind in _KEYS:
        key, text = _KEYS[error.kind]
        message = vmodl.LocalizableMessage(key=f"vim.hostd.vmsvc.cbt.{key}", message=text)
        return vim.fault.FileFault(
            file=path, faultMessage=[message], msg=f"Error caused by file {path}: {text}"
        )
    return faults.from_storage(error, path)
