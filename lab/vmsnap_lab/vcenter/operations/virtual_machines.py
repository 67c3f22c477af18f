# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients can do with a VM: each operation calls the module that does it."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
from vmsnap_lab.vcenter.inventory.folders import VmFolder
from vmsnap_lab.vcenter.managed import operation_of
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.task import in_progress
from vmsnap_lab.vcenter.snapshots import create, remove, revert
from vmsnap_lab.vcenter.vm import (
    changed_areas,
    cloning,
    consolidation,
    power,
    reconfiguration,
    registration,
    relocation,
)
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine


def _power_off(vm: VirtualMachine, user: str) -> None:
    power.power_off(vm, user=user)
    obeys = vm.vcenter.habits.power_off_reverts
    if obeys and vm.live.flags.snapshotPowerOffBehavior == "revert" and vm.tree.current:
        revert.revert(vm, vm.tree.current, True, user=user)


def _check_idle(vm: VirtualMachine) -> None:
    """For what is no task itself. Raises TaskInProgress."""
    if vm.busy is not None:
        raise in_progress(vm.busy)


# Snapshots


@operation_of(VirtualMachine, "CreateSnapshot_Task")
def create_snapshot(
    vm: VirtualMachine,
    call: Call,
    name: str,
    description: Optional[str],
    memory: bool,
    quiesce: bool,
) -> Any:
    return call.start(
        vm,
        lambda task: create.create(vm, name, description, memory, quiesce),
        cancelable=True,
        exclusive=vm,
    )


@operation_of(VirtualMachine, "CreateSnapshotEx_Task")
def create_snapshot_ex(
    vm: VirtualMachine,
    call: Call,
    name: str,
    description: Optional[str],
    memory: bool,
    quiesce_spec: Any,
) -> Any:
    return create_snapshot(vm, call, name, description, memory, quiesce_spec is not None)


@operation_of(VirtualMachine, "RevertToCurrentSnapshot_Task")
def revert_to_current(
    vm: VirtualMachine, call: Call, host: Optional[HostSystem], suppress_power_on: Optional[bool]
) -> Any:
    def work(task: Any) -> None:
        current = vm.tree.current
        if current is None:
            raise vim.fault.NotFound(msg=f"{vm.name} has no current snapshot")
        revert.revert(vm, current, bool(suppress_power_on), user=call.user)

    return call.start(vm, work, exclusive=vm)


@operation_of(VirtualMachine, "RemoveAllSnapshots_Task")
def remove_all_snapshots(
    vm: VirtualMachine, call: Call, consolidate: Optional[bool], selection: Any
) -> Any:
    if selection is not None:
        raise vmodl.fault.NotSupported(msg="The simulation does not have spec")
    return call.start(
        vm,
        lambda task: remove.remove_all(vm, consolidate is not False, task.progress),
        exclusive=vm,
    )


@operation_of(VirtualMachine, "ConsolidateVMDisks_Task")
def consolidate_disks(vm: VirtualMachine, call: Call) -> Any:
    return call.start(
        vm,
        lambda task: consolidation.consolidate(vm, progress=task.progress),
        exclusive=vm,
    )


@operation_of(VirtualMachine, "QueryChangedDiskAreas", unlocked=True)
def query_changed_disk_areas(
    vm: VirtualMachine,
    call: Call,
    snapshot: Optional[Snapshot],
    key: int,
    start: int,
    change_id: str,
) -> Any:
    return changed_areas.query(vm, snapshot, key, start, change_id)


# Configuration


@operation_of(VirtualMachine, "ReconfigVM_Task")
def reconfigure(vm: VirtualMachine, call: Call, spec: Any) -> Any:
    reconfiguration.check_privileges(call, vm, spec)
    return call.start(
        vm,
        lambda task: reconfiguration.reconfigure(vm, spec, user=call.user),
        exclusive=vm,
    )


@operation_of(VirtualMachine, "RefreshStorageInfo")
def refresh_storage_info(vm: VirtualMachine, call: Call) -> None:
    """Nothing is ever out of date here."""


@operation_of(VirtualMachine, "MarkAsTemplate")
def mark_as_template(vm: VirtualMachine, call: Call) -> None:
    _check_idle(vm)
    power.check(vm, power.OFF)
    vm.set_template(True, None)


@operation_of(VirtualMachine, "MarkAsVirtualMachine")
def mark_as_vm(
    vm: VirtualMachine, call: Call, pool: ResourcePool, host: Optional[HostSystem]
) -> None:
    if not vm.live.template:
        raise vim.fault.InvalidState(msg=f"{vm.name} is not a template")
    vm.set_template(False, pool)
    vm.host = host or pool.owner.host[0]


# Power


@operation_of(VirtualMachine, "PowerOnVM_Task")
def power_on(vm: VirtualMachine, call: Call, host: Optional[HostSystem]) -> Any:
    return call.start(vm, lambda task: power.power_on(vm, user=call.user), exclusive=vm)


@operation_of(VirtualMachine, "PowerOffVM_Task")
def power_off(vm: VirtualMachine, call: Call) -> Any:
    return call.start(vm, lambda task: _power_off(vm, user=call.user), exclusive=vm)


@operation_of(VirtualMachine, "SuspendVM_Task")
def suspend(vm: VirtualMachine, call: Call) -> Any:
    return call.start(vm, lambda task: power.suspend(vm, user=call.user), exclusive=vm)


@operation_of(VirtualMachine, "ResetVM_Task")
def reset(vm: VirtualMachine, call: Call) -> Any:
    return call.start(vm, lambda task: power.reset(vm, user=call.user), exclusive=vm)


@operation_of(VirtualMachine, "ShutdownGuest")
def shutdown_guest(vm: VirtualMachine, call: Call) -> None:
    """The guest is off at once."""
    power.check(vm, power.ON, requested=power.OFF)
    power.settle(vm, power.OFF, user=call.user)


# Inventory


@operation_of(VirtualMachine, "RelocateVM_Task")
def relocate(vm: VirtualMachine, call: Call, spec: Any, priority: Optional[str]) -> Any:
    if vm.powerState == power.ON:
        call.require("Resource.HotMigrate", vm)
    relocation.check_enabled(vm)
    return call.start(
        vm,
        lambda task: relocation.relocate(vm, spec, user=call.user),
        cancelable=True,
        exclusive=vm,
    )


@operation_of(VirtualMachine, "CloneVM_Task")
def clone(vm: VirtualMachine, call: Call, folder: VmFolder, name: str, spec: Any) -> Any:
    for privilege in cloning.privileges(vm):
        call.require(privilege, vm)
    if not issubclass(vim.VirtualMachine, folder.holds):
        raise faults.invalid_argument("folder")
    return call.start(
        vm,
        lambda task: cloning.clone(vm, folder, name, spec, user=call.user),
        cancelable=True,
        exclusive=vm,
    )


@operation_of(VirtualMachine, "UnregisterVM")
def unregister(vm: VirtualMachine, call: Call) -> None:
    _check_idle(vm)
    registration.unregister(vm, user=call.user)


@operation_of(VirtualMachine, "Destroy_Task")
def destroy(vm: VirtualMachine, call: Call) -> Any:
    call.require("VirtualMachine.Inventory.Delete", vm)
    return call.start(vm, lambda task: registration.destroy(vm, user=call.user), exclusive=vm)
