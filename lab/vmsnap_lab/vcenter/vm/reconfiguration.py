# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reconfiguring a VM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.vm import (
    buses,
    cbt_setting,
    config,
    consolidation,
    devices,
    disk_doors,
    disk_files,
    files,
    locks,
    power,
)
from vmsnap_lab.vcenter.vm.machine import Machine

VirtualDisk = vim.vm.device.VirtualDisk
Operation = vim.vm.device.VirtualDeviceSpec.Operation

_PRIVILEGES = (
    ("name", "VirtualMachine.Config.Rename"),
    ("numCPUs", "VirtualMachine.Config.CPUCount"),
    ("numCoresPerSocket", "VirtualMachine.Config.CPUCount"),
    ("memoryMB", "VirtualMachine.Config.Memory"),
    ("annotation", "VirtualMachine.Config.Annotation"),
    ("extraConfig", "VirtualMachine.Config.AdvancedConfig"),
    ("changeTrackingEnabled", "VirtualMachine.Config.ChangeTracking"),
    ("cpuAllocation", "VirtualMachine.Config.Resource"),
    ("memoryAllocation", "VirtualMachine.Config.Resource"),
    ("guestId", "VirtualMachine.Config.Settings"),
    ("flags", "VirtualMachine.Config.Settings"),
    ("tools", "VirtualMachine.Config.Settings"),
    ("bootOptions", "VirtualMachine.Config.Settings"),
    ("firmware", "VirtualMachine.Config.Settings"),
    ("uuid", "VirtualMachine.Config.Settings"),
    ("instanceUuid", "VirtualMachine.Config.Settings"),
)


def check_privileges(call: Call, vm: Machine, spec: Any) -> None:
    """What a spec needs depends on what is in it. Raises NoPermission."""
    for name, privilege in _PRIVILEGES:
        if getattr(spec, name) not in (None, []):
            call.require(privilege, vm)
    for change in spec.deviceChange:
        for privilege in device_privileges(change):
            call.require(privilege, vm)


def device_privileges(change: Any) -> Iterator[str]:
    """The privileges that one device change needs on the VM or its folder."""
    if not isinstance(change.device, VirtualDisk):
        edit = change.operation == Operation.edit
        yield f"VirtualMachine.Config.{'EditDevice' if edit else 'AddRemoveDevice'}"
    elif change.operation == Operation.remove:
        yield "VirtualMachine.Config.RemoveDisk"
    elif change.operation == Operation.edit:
        yield "VirtualMachine.Config.DiskExtend"
    elif isinstance(change.device.backing, VirtualDisk.RawDiskMappingVer1BackingInfo):
        yield "VirtualMachine.Config.RawDevice"
    elif change.fileOperation is None:
        yield "VirtualMachine.Config.AddExistingDisk"
    else:
        yield "VirtualMachine.Config.AddNewDisk"


def reconfigure(vm: Machine, spec: Any, *, user: str) -> None:
    """All of a spec, or nothing of it.

    Raises ConcurrentAccess, InvalidArgument, InvalidName, DuplicateName, InvalidPowerState,
    CpuHotPlugNotSupported, MemoryHotPlugNotSupported, InvalidDeviceSpec and FileFault with their
    subclasses.
    """
    locks.check_closed(vm, _doomed(vm, spec))
    with vm.vcenter.lock:
        old = vm.live
        _check(vm, spec)
        new = config.with_spec(old, spec)
        if spec.instanceUuid and new.instanceUuid != old.instanceUuid:
            new.instanceUuid = vm.vcenter.unused_instance_uuid(new.instanceUuid)
        editor = devices.DeviceEditor(vm.site(), old.hardware.device)
        editor.apply(spec.deviceChange)
        new.name = vm.check_new_name(spec.name) if spec.name else vm.name
        editor.files.carry_out(vm.vcenter)
        vm.name = new.name
        new.hardware.device = editor.finish()
        if spec.changeTrackingEnabled is not None:
            new.extraConfig = cbt_setting.options(new)
        vm.replace_config(new)
        vm.disk_files.update(disk_files.config_paths(new))
        _drop_disks(vm, old, editor.files)
        if vm.powerState == power.OFF:
            _apply_tracking(vm)
        files.write_config(vm)
        disk_doors.sync(vm)
        if not vm.vcenter.habits.silent_reconfigurations:
            vm.vcenter.events.post(
                vim.event.VmReconfiguredEvent(template=bool(new.template), configSpec=spec),
                f"Reconfigured {vm.name}",
                user=user,
                entity=vm,
            )


def _doomed(vm: Machine, spec: Any) -> Iterator[str]:
    """Files of disks that the spec destroys."""
    for change in spec.deviceChange:
        if change.operation == Operation.remove and change.fileOperation is not None:
            disk = buses.find(buses.disks(vm.live.hardware.device), change.device.key)
            if disk is not None:
                yield disk.backing.fileName


def _check(vm: Machine, spec: Any) -> None:
    live = vm.live
    if spec.changeVersion and spec.changeVersion != live.changeVersion:
        raise vim.fault.ConcurrentAccess(
            msg="The configuration was changed by somebody else in the meantime."
        )
    if spec.changeTrackingEnabled and not vm.vcenter.habits.change_tracking_supported:
        raise vmodl.fault.NotSupported(msg=f"{vm.name} does not support change tracking")
    if live.template and (spec.deviceChange or spec.numCPUs or spec.memoryMB):
        raise vmodl.fault.NotSupported(
            msg=f"The operation is not supported on the template {vm.name}"
        )
    if vm.powerState == power.OFF:
        return
    hardware = live.hardware
    if spec.memoryMB not in (None, hardware.memoryMB) and not live.memoryHotAddEnabled:
        raise vim.fault.MemoryHotPlugNotSupported(
            msg="Memory hot plug is not supported for this virtual machine."
        )
    if spec.numCPUs not in (None, hardware.numCPU) and not live.cpuHotAddEnabled:
        raise vim.fault.CpuHotPlugNotSupported(
            msg="CPU hot plug is not supported for this virtual machine."
        )
    if spec.version or spec.firmware not in (None, live.firmware):
        power.check(vm, power.OFF)


def _apply_tracking(vm: Machine) -> None:
    try:
        cbt_setting.apply(vm)
    except StorageError as error:
        raise faults.from_storage(error, vm.live.files.vmPathName) from error


def _drop_disks(vm: Machine, old: Any, plan: disk_files.FilePlan) -> None:
    """Release the files of disks that were removed, or delete them."""
    for device in old.hardware.device:
        if getattr(device.backing, "fileName", None) in plan.release:
            vm.release(device)
    frozen = {
        path for snapshot in vm.tree.all() for path in disk_files.config_paths(snapshot.frozen)
    }
    for path in plan.destroy:
        if path not in frozen and vm.vcenter.store.exists(path):
            vm.delete_disk_file(path)
    vm.needs_consolidation = bool(consolidation.redundant(vm))
