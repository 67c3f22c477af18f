# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Registering VMs, taking them out of the inventory, destroying them.

A VM that leaves the inventory is kept under the path of its configuration file, with
its configuration and its snapshots, and comes back from there: configuration files are written
for people to look at, and never read. So only what this vCenter had before can be registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, entity, entity_names, faults
from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
from vmsnap_lab.vcenter.inventory.folders import VmFolder
from vmsnap_lab.vcenter.vm import disk_doors, files, locks, power
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot, SnapshotTree
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine


@dataclass
class Shelved:
    """What is kept of a VM that is not registered."""

    live: Any
    tree: SnapshotTree
    disk_files: set[str]
    needs_consolidation: bool


def unregister(vm: Machine, *, user: str) -> None:
    """Raises InvalidPowerState unless the VM is off."""
    with vm.vcenter.lock:
        power.check(vm, power.OFF)
        vm.vcenter.shelf[vm.live.files.vmPathName] = Shelved(
            vm.live, vm.tree, vm.disk_files, vm.needs_consolidation
        )
        _leave(vm, user)


def register(
    folder: VmFolder,
    path: str,
    name: Optional[str],
    as_template: bool,
    pool: Optional[ResourcePool],
    host: Optional[HostSystem],
    *,
    user: str,
) -> VirtualMachine:
    """The VM of a configuration file, under new ids for itself and its snapshots.

    Raises InvalidDatastore, FileNotFound, AlreadyExists, DuplicateName, InvalidName,
    NotSupported for a file that did not come from this vCenter.
    """
    vcenter = folder.vcenter
    with vcenter.lock:
        datastore_files.split(path)
        if any(vm.live.files.vmPathName == path for vm in vcenter.vms()):
            raise vim.fault.AlreadyExists(name=path, msg=f"{path} is registered already")
        if not vcenter.files.exists(path):
            raise faults.not_found(path)
        shelved = vcenter.shelf.get(path)
        if shelved is None:
            raise vmodl.fault.NotSupported(
                msg=f"The simulation only registers what it had before, and not {path}"
            )
        escaped = entity_names.checked(name or shelved.live.name)
        entity.check_free(folder, escaped)
        del vcenter.shelf[path]
        owner = pool.owner if pool is not None else _any_owner(folder)
        vm = VirtualMachine(
            vcenter,
            vcenter.vm_moid(),
            escaped,
            folder,
            shelved.live,
            pool,
            host or owner.host[0],
        )
        vm.disk_files = shelved.disk_files
        vm.needs_consolidation = shelved.needs_consolidation
        _adopt(vm, shelved.tree)
        vm.set_template(as_template, pool)
        files.write_config(vm)
        disk_doors.sync(vm)
        vcenter.events.post(
            vim.event.VmRegisteredEvent(template=as_template),
            f"Registered {vm.name}",
            user=user,
            entity=vm,
        )
        return vm


def destroy(vm: Machine, *, user: str) -> None:
    """Delete a VM with its files. Raises InvalidPowerState, FileLocked."""
    power.check(vm, power.OFF)
    locks.check_closed(vm, sorted(vm.disk_files))
    with vm.vcenter.lock:
        power.check(vm, power.OFF)
        _delete_disks(vm)
        path = vm.live.files.vmPathName
        folder = datastore_files.folder_of(path)
        for name in files.plain_names(vm):
            vm.vcenter.files.delete_if_there(f"{folder}/{name}")
        _leave(vm, user)
        vm.vcenter.files.delete_folder_if_empty(folder)


def _delete_disks(vm: Machine) -> None:
    """Leaves first. What others build on stays on the datastore."""
    store = vm.vcenter.store
    left = {path for path in vm.disk_files if store.exists(path)}
    while True:
        leaves = sorted(path for path in left if not store.children(path))
        if not leaves:
            return
        for path in leaves:
            try:
                store.delete(path)
            except StorageError as error:
                raise faults.from_storage(error, path) from error
            left.discard(path)


def _leave(vm: Machine, user: str) -> None:
    vm.vcenter.events.post(
        vim.event.VmRemovedEvent(template=bool(vm.live.template)),
        f"Removed {vm.name}",
        user=user,
        entity=vm,
    )
    for snapshot in vm.tree.all():
        vm.vcenter.objects.remove(snapshot)
    vm.leave_folder()
    vm.vcenter.objects.remove(vm)
    vm.vcenter.doors.close(vm.moid)


def _adopt(vm: Machine, old: SnapshotTree) -> None:
    """The same tree, as objects of the VM that was registered."""
    vm.tree = SnapshotTree.continuing(old)
    anew: dict[Snapshot, Snapshot] = {}
    for known in old.all():
        anew[known] = Snapshot(
            vm,
            number=known.id,
            name=known.name,
            description=known.description,
            created=known.created,
            state=known.state,
            quiesced=known.quiesced,
            frozen=known.frozen,
            nvram=known.nvram,
            parent=anew[known.parent] if known.parent is not None else None,
        )
        vm.tree.add(anew[known])
    vm.tree.current = anew[old.current] if old.current is not None else None


def _any_owner(folder: VmFolder) -> Any:
    """A compute resource of the folder's datacenter, for a template without a pool."""
    datacenter = entity.datacenter_of(folder)
    for candidate in datacenter.hostFolder.descendants():
        if issubclass(candidate.TYPE, vim.ComputeResource):
            return candidate
    raise faults.invalid_argument("host", f"{datacenter.name} has no host")
