# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Taking a snapshot."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, faults
from vmsnap_lab.vcenter.snapshots import rename
from vmsnap_lab.vcenter.vm import (
    buses,
    cbt_setting,
    config,
    disk_devices,
    disk_doors,
    disk_files,
    file_paths,
    files,
    power,
)
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

Device = vim.vm.device
Sharing = Device.VirtualSCSIController.Sharing
_SHARED = (Sharing.physicalSharing, Sharing.virtualSharing)
DEEPEST = 32  # snapshots in a line, and deltas in a chain


def create(
    vm: Machine, name: str, description: Optional[str], memory: bool, quiesce: bool
) -> Snapshot:
    """Freeze the disks and the configuration, and let the VM go on in new deltas.

    Raises NotSupported (template), InvalidName, SnapshotFault and its subclasses, FileLocked,
    NoDiskSpace.
    """
    with vm.vcenter.lock:
        _check(vm, name, memory)
        running = vm.powerState == power.ON
        if running and quiesce and vm.vcenter.habits.quiesce_faults:
            raise vm.vcenter.habits.quiesce_faults.pop(0)
        cbt_setting.apply(vm)
        frozen, nvram = vm.live, files.read_nvram(vm)
        paths = _make_deltas(vm)
        snapshot = Snapshot(
            vm,
            number=vm.tree.next_number(),
            name=name[: vm.vcenter.habits.longest_snapshot_name],
            description=description or "",
            created=vm.vcenter.now(),
            state=_state(vm, memory),
            quiesced=running and quiesce,
            frozen=frozen,
            nvram=nvram,
            parent=vm.tree.current,
        )
        vm.tree.add(snapshot)
        vm.replace_config(config.with_disk_paths(frozen, paths))
        vm.disk_files.update(paths.values())
        vm.vcenter.files.write(file_paths.snapshot_data_path(vm.live, snapshot.id), b"")
        files.write_snapshot_list(vm)
        disk_doors.sync(vm)
        return snapshot


def _state(vm: Machine, memory: bool) -> str:
    """The power state a revert brings back: without memory there is nothing to run on."""
    if vm.powerState == power.SUSPENDED:
        return power.SUSPENDED
    return power.ON if memory and vm.powerState == power.ON else power.OFF


def _check(vm: Machine, name: str, memory: bool) -> None:
    live = vm.live
    if live.template:
        raise vmodl.fault.NotSupported(
            msg=f"The operation is not supported on the template {vm.name}"
        )
    rename.check_name(name)
    if live.flags.snapshotDisabled:
        raise vim.fault.SnapshotDisabled(msg=f"Snapshots of {vm.name} are disabled")
    if live.flags.snapshotLocked:
        raise vim.fault.SnapshotLocked(msg=f"The snapshots of {vm.name} are locked")
    if _depth(vm) >= DEEPEST:
        raise vim.fault.TooManySnapshotLevels(
            msg=f"{vm.name} has {DEEPEST} levels of snapshots, which is the most there can be"
        )
    for device in live.hardware.device:
        _check_device(live, device)
    independent = any(disk_devices.is_independent(disk) for disk in _disks(vm))
    if memory and vm.powerState == power.ON and independent:
        raise vim.fault.MemorySnapshotOnIndependentDisk(
            msg="Cannot take a memory snapshot, since the virtual machine is configured with "
            "independent disks."
        )


def _depth(vm: Machine) -> int:
    """Levels of the tree, or deltas of the longest chain, which hidden links may make longer."""
    levels = vm.tree.current.depth if vm.tree.current is not None else 0
    store = vm.vcenter.store
    deltas = [
        len(store.chain(disk.backing.fileName)) - 1
        for disk in _disks(vm)
        if not disk_devices.is_independent(disk)
    ]
    return max([levels, *deltas])


def _check_device(live: Any, device: Any) -> None:
    """Raises SnapshotIncompatibleDeviceInVm for what cannot be frozen, naming the device."""
    reason = _incompatibility(live, device)
    if reason is not None:
        raise vim.fault.SnapshotIncompatibleDeviceInVm(
            fault=reason,
            msg="The virtual machine is configured to use a device that prevents the operation: "
            f"Device '{reason.device}' is not supported in snapshots.",
        )


def _incompatibility(live: Any, device: Any) -> Any:
    label = device.deviceInfo.label
    is_disk = isinstance(device, Device.VirtualDisk)
    if is_disk and disk_devices.is_physical_rdm(device):
        return vim.fault.PhysCompatRDMNotSupported(device=label)
    if is_disk and disk_devices.is_shared(device):
        return vim.fault.DeviceNotSupported(device=label, reason="multi-writer")
    shared_bus = getattr(device, "sharedBus", None) in _SHARED
    if shared_bus and device.device:
        disk = buses.find(live.hardware.device, device.device[0])
        return vim.fault.SharedBusControllerNotSupported(
            device=disk.deviceInfo.label, reason=f"bus sharing: {device.sharedBus}"
        )
    if isinstance(device, Device.VirtualPCIPassthrough):
        return vim.fault.DeviceNotSupported(device=label)
    return None


def _make_deltas(vm: Machine) -> dict[str, str]:
    """A delta on every disk that takes part: frozen path to new leaf."""
    store = vm.vcenter.store
    made: dict[str, str] = {}
    path = ""
    try:
        for disk in _disks(vm):
            if disk_devices.is_independent(disk):
                continue
            path = disk.backing.fileName
            if datastore_files.split(path)[0] in vm.vcenter.habits.full_datastores:
                raise faults.no_space(path)
            delta = disk_files.delta_path(path, store.exists)
            store.create_delta(path, delta)
            made[path] = delta
    except (StorageError, vim.fault.NoDiskSpace) as error:
        for delta in made.values():
            store.merge_into_parent(delta)
        raise _fault(error, path) from error
    return made


def _fault(error: Any, path: str) -> Any:
    return faults.from_storage(error, path) if isinstance(error, StorageError) else error


def _disks(vm: Machine) -> list[Any]:
    return buses.disks(vm.live.hardware.device)
