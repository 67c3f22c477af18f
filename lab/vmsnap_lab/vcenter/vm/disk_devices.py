# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Virtual disks as devices: adding, editing, removing."""

from __future__ import annotations

import copy
import uuid
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files, faults
from vmsnap_lab.vcenter.vm import disk_files
from vmsnap_lab.vcenter.vm.disk_files import FilePlan
from vmsnap_lab.vcenter.vm.site import Site

VirtualDisk = vim.vm.device.VirtualDisk
Operation = vim.vm.device.VirtualDeviceSpec.Operation
FileOperation = vim.vm.device.VirtualDeviceSpec.FileOperation
BACKINGS = (
    VirtualDisk.FlatVer2BackingInfo,
    VirtualDisk.SeSparseBackingInfo,
    VirtualDisk.RawDiskMappingVer1BackingInfo,
)
MODES = vim.vm.device.VirtualDiskOption.DiskMode.values
SECTOR = 512
LARGEST = 62 << 40  # bytes
LUN_SIZE = 1 << 30  # of a raw device mapped without saying how large it is


def is_independent(device: Any) -> bool:
    return (device.backing.diskMode or "").startswith("independent")


def is_physical_rdm(device: Any) -> bool:
    backing = device.backing
    return (
        isinstance(backing, VirtualDisk.RawDiskMappingVer1BackingInfo)
        and backing.compatibilityMode == "physicalMode"
    )


def is_shared(device: Any) -> bool:
    return getattr(device.backing, "sharing", None) == "sharingMultiWriter"


def spec_fault(index: int, name: str, message: str) -> Any:
    return vim.fault.InvalidDeviceSpec(
        deviceIndex=index,
        property=f"virtualDeviceSpec.{name}",
        msg=f"Invalid configuration for device '{index}': {message}",
    )


def operation_fault(index: int, operation: str, message: str) -> Any:
    return vim.fault.InvalidDeviceOperation(
        deviceIndex=index,
        badOp=operation,
        msg=f"Invalid operation for device '{index}': {message}",
    )


def complete_new(site: Site, plan: FilePlan, spec: Any, index: int) -> None:
    """Settle file and size of a disk that is being added; what is to be done goes into `plan`.

    Raises InvalidDeviceSpec and its subclasses, FileAlreadyExists, FileNotFound, NoDiskSpace.
    """
    device, backing = spec.device, spec.device.backing
    if not isinstance(backing, BACKINGS):
        raise vim.fault.InvalidDeviceBacking(
            deviceIndex=index,
            property="virtualDeviceSpec.device.backing",
            msg=f"Incompatible device backing specified for device '{index}'.",
        )
    if backing.diskMode not in (None, *MODES):
        raise spec_fault(index, "device.backing.diskMode", f"mode {backing.diskMode}")
    backing.diskMode = backing.diskMode or "persistent"
    backing.parent = None
    backing.changeId = None
    if spec.fileOperation == FileOperation.create:
        _create(site, plan, device, index)
    elif spec.fileOperation is None:
        _attach(site, plan, device, index)
    else:
        raise operation_fault(index, Operation.add, f"file operation {spec.fileOperation}")
    backing.datastore = site.datastore_of(backing.fileName).ref


def _create(site: Site, plan: FilePlan, device: Any, index: int) -> None:
    backing = device.backing
    capacity = _new_capacity(device, index)
    path = _path(site, plan, backing)
    if plan.is_taken(site.vcenter, path):
        raise faults.already_exists(path)
    site.check_space(path)
    thin = bool(getattr(backing, "thinProvisioned", None))
    plan.create.append((path, capacity, thin))
    backing.fileName = path
    backing.uuid = new_uuid()
    set_capacity(device, capacity)


def _attach(site: Site, plan: FilePlan, device: Any, index: int) -> None:
    path = device.backing.fileName
    datastore_files.split(path)
    if not site.vcenter.store.exists(path):
        raise faults.not_found(path)
    if site.vcenter.store.is_frozen(path):
        raise faults.locked(path)  # a snapshot's disk: its content is frozen
    plan.attach.append(path)
    known = site.vcenter.disk_uuids.get(path) if site.vcenter.habits.attach_uuid == "kept" else None
    device.backing.uuid = known or new_uuid()
    set_capacity(device, site.vcenter.store.capacity(path))


def _path(site: Site, plan: FilePlan, backing: Any) -> str:
    """The file of a new disk: that of its backing, or one named after the VM."""
    target = backing.fileName or ""
    if not target and backing.datastore is not None:
        target = f"[{site.vcenter.objects.find(backing.datastore).name}]"
    if not target:
        target = site.home
    datastore, inner = datastore_files.split(target)
    site.datastore(datastore)
    if inner.endswith(".vmdk"):
        return datastore_files.join(datastore, inner)
    folder = inner or datastore_files.split(site.home)[1]
    return disk_files.new_disk_path(
        datastore_files.join(datastore, folder),
        site.base,
        lambda path: plan.is_taken(site.vcenter, path),
    )


def _new_capacity(device: Any, index: int) -> int:
    """In bytes. Raises InvalidDeviceSpec."""
    capacity = device.capacityInBytes or device.capacityInKB * 1024
    if isinstance(device.backing, VirtualDisk.RawDiskMappingVer1BackingInfo):
        capacity = capacity or LUN_SIZE
    disagree = device.capacityInKB and device.capacityInKB != capacity // 1024
    if not 0 < capacity <= LARGEST or capacity % SECTOR or disagree:
        raise spec_fault(index, "device.capacityInKB", "its capacity is not valid")
    return capacity


def set_capacity(device: Any, capacity: int) -> None:
    device.capacityInBytes = capacity
    device.capacityInKB = capacity // 1024


def new_uuid() -> str:
    return "6000C29" + str(uuid.uuid4())[7:]


def edited(site: Site, plan: FilePlan, old: Any, new: Any, index: int) -> Any:
    """The disk `old` with the changes of `new`; raises InvalidDeviceSpec and its subclasses."""
    device = copy.copy(old)
    backing = device.backing = copy.copy(old.backing)
    changes = new.backing
    if changes is not None:
        if changes.fileName not in ("", None, old.backing.fileName):
            raise spec_fault(index, "device.backing.fileName", "a disk keeps its file")
        if changes.diskMode is not None and changes.diskMode not in MODES:
            raise spec_fault(index, "device.backing.diskMode", f"mode {changes.diskMode}")
        backing.diskMode = changes.diskMode or backing.diskMode
        if getattr(changes, "sharing", None) is not None:
            backing.sharing = changes.sharing
    for name in ("shares", "storageIOAllocation"):
        if getattr(new, name) is not None:
            setattr(device, name, getattr(new, name))
    capacity = _edited_capacity(old, new, index)
    if capacity is not None:
        _grow(site, plan, device, capacity, index)
    return device


def _edited_capacity(old: Any, new: Any, index: int) -> Optional[int]:
    """The capacity an edit asks for in bytes, None for the old one."""
    new_bytes = new.capacityInBytes
    bytes_changed = new_bytes is not None and new_bytes != old.capacityInBytes
    kilobytes_changed = new.capacityInKB and new.capacityInKB != old.capacityInKB
    if bytes_changed and kilobytes_changed and new_bytes // 1024 != new.capacityInKB:
        raise spec_fault(index, "device.capacityInKB", "its two capacities disagree")
    if bytes_changed:
        return new_bytes
    return new.capacityInKB * 1024 if kilobytes_changed else None


def _grow(site: Site, plan: FilePlan, device: Any, capacity: int, index: int) -> None:
    path = device.backing.fileName
    if capacity < device.capacityInBytes:
        raise spec_fault(index, "device.capacityInKB", "a disk cannot shrink")
    if capacity > LARGEST or capacity % SECTOR:
        raise spec_fault(index, "device.capacityInKB", "its capacity is not valid")
    if site.vcenter.store.parent(path) is not None:
        raise operation_fault(
            index, Operation.edit, "a disk with snapshots cannot change its capacity"
        )
    site.check_space(path)
    plan.grow.append((path, capacity))
    set_capacity(device, capacity)
