# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Moving a VM: to another host, pool or folder, its files to another datastore."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, entity, faults
from vmsnap_lab.vcenter.inventory.datastores import datastore_of
from vmsnap_lab.vcenter.vm import buses, disk_doors, files, power
from vmsnap_lab.vcenter.vm.machine import Machine


def check_enabled(vm: Machine) -> None:
    """Raises MethodDisabled if VDDK's PrepareForAccess was called and EndAccess was not."""
    if vm.migration_disabled_by:
        source = vm.migration_disabled_by[0]
        raise vim.fault.MethodDisabled(
            source=source, msg=f"The method is disabled by '{source}': RelocateVM_Task"
        )


def relocate(vm: Machine, spec: Any, *, user: str) -> None:
    """Raises NotSupported, InvalidDatastore, FileLocked, InvalidArgument.

    Not simulated: moving between vCenters, changing the format of disks or devices on the way.
    """
    _check_supported(spec)
    with vm.vcenter.lock:
        folder: Any = vm.parent
        if spec.folder is not None:
            folder = vm.vcenter.objects.find(spec.folder)
        if folder is not vm.parent:
            entity.check_free(folder, vm.name)
        moves = _moves(vm, spec)
        source = _source(vm)
    for datastore, paths in moves.items():
        _move_disks(vm, sorted(paths), datastore)
    with vm.vcenter.lock:
        if spec.datastore is not None:
            target = vm.vcenter.objects.find(spec.datastore)
            _move_home(vm, target.name)
        _move_in_inventory(vm, spec, folder)
        if moves and vm.vcenter.habits.relocate_resets_tracking:
            _reset_tracking(vm)
        files.write_config(vm)
        disk_doors.sync(vm)
        _log(vm, source, user)


def _move_disks(vm: Machine, paths: list[str], datastore: str) -> None:
    targets = {
        path: datastore_files.join(datastore, datastore_files.split(path)[1]) for path in paths
    }
    vm.vcenter.moving.update(targets)
    try:
        vm.vcenter.store.relocate(paths, datastore)
        with vm.vcenter.lock:
            vm.move_disk_files(targets)
    except StorageError as error:
        raise faults.from_storage(error, paths[0]) from error
    finally:
        for path in paths:
            del vm.vcenter.moving[path]


def _check_supported(spec: Any) -> None:
    for name in ("service", "transform", "deviceChange", "profile", "cryptoSpec"):
        if getattr(spec, name):
            raise vmodl.fault.NotSupported(msg=f"The simulation does not have spec.{name}")


def _moves(vm: Machine, spec: Any) -> dict[str, set[str]]:
    """Which disk files go to which datastore."""
    targets: dict[str, str] = {}  # file, datastore
    if spec.datastore is not None:
        name = vm.vcenter.objects.find(spec.datastore).name
        targets = dict.fromkeys(vm.disk_files, name)
    for locator in spec.disk:
        device = buses.find(buses.disks(vm.live.hardware.device), locator.diskId)
        if device is None:
            raise faults.invalid_argument("spec.disk.diskId")
        name = vm.vcenter.objects.find(locator.datastore).name
        for path in _family(vm, device.backing.fileName):
            targets[path] = name
    moves: dict[str, set[str]] = {}
    for path, name in targets.items():
        if datastore_files.split(path)[0] != name:
            vm.site().datastore(name)  # one of this datacenter
            if name in vm.vcenter.habits.full_datastores:
                raise faults.no_space(f"[{name}]")
            moves.setdefault(name, set()).add(path)
    return moves


def _family(vm: Machine, path: str) -> list[str]:
    """All files that share a base disk with a leaf."""
    base = vm.vcenter.store.chain(path)[-1]
    return [known for known in vm.disk_files if vm.vcenter.store.chain(known)[-1] == base]


def _move_home(vm: Machine, datastore: str) -> None:
    old = vm.live.files.vmPathName
    source, inner = datastore_files.split(old)
    if source == datastore:
        return
    home = datastore_files.folder_of(old)
    folder = datastore_files.join(datastore, inner.rpartition("/")[0])
    if not vm.vcenter.files.is_folder(folder):
        vm.vcenter.files.make_folder(folder, parents=True)
    vm.vcenter.files.move_plain(home, folder, files.plain_names(vm))
    vm.set_home(datastore_files.join(datastore, inner))
    vm.vcenter.files.delete_folder_if_empty(home)


def _move_in_inventory(vm: Machine, spec: Any, folder: Any) -> None:
    if spec.host is not None:
        vm.host = vm.vcenter.objects.find(spec.host)
    if spec.pool is not None:
        vm.resourcePool = vm.vcenter.objects.find(spec.pool)
    if folder is not vm.parent:
        vm.leave_folder()
        vm.parent, vm.parentVApp = folder, None
        folder.add(vm)


def _reset_tracking(vm: Machine) -> None:
    for disk in buses.disks(vm.live.hardware.device):
        if vm.vcenter.store.change_id(disk.backing.fileName) is not None:
            vm.vcenter.store.reset_tracking(disk.backing.fileName)


def _source(vm: Machine) -> dict[str, Any]:
    """The fields of events for the place that a VM came from."""
    datastore = datastore_of(vm.vcenter, vm.live.files.vmPathName)
    datacenter = entity.datacenter_of(vm)
    return {
        "sourceHost": vim.event.HostEventArgument(name=vm.host.name, host=vm.host.ref),
        "sourceDatacenter": vim.event.DatacenterEventArgument(
            name=datacenter.name, datacenter=datacenter.ref
        ),
        "sourceDatastore": vim.event.DatastoreEventArgument(
            name=datastore.name, datastore=datastore.ref
        ),
    }


def _log(vm: Machine, source: dict[str, Any], user: str) -> None:
    """A running VM migrates, one that is off is relocated."""
    running = vm.powerState == power.ON
    kind = vim.event.VmMigratedEvent if running else vim.event.VmRelocatedEvent
    vm.vcenter.events.post(
        kind(template=bool(vm.live.template), **source),
        f"{vm.name} was moved from {source['sourceDatastore'].name}",
        user=user,
        entity=vm,
    )
