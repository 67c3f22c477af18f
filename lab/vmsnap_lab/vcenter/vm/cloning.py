# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Cloning VMs: full copies of the current state or of a snapshot, and linked clones of the latter."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, entity, entity_names, faults
from vmsnap_lab.vcenter.inventory.datastores import datastore_of
from vmsnap_lab.vcenter.inventory.folders import VmFolder
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.vm import (
    buses,
    cbt_setting,
    config,
    creation,
    disk_devices,
    disk_doors,
    disk_files,
    file_paths,
    files,
    nics,
    power,
    reconfiguration,
)
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine

LINKED = "createNewChildDiskBacking"


def clone(source: Machine, folder: VmFolder, name: str, spec: Any, *, user: str) -> VirtualMachine:
    """A new VM with the content of another one and no snapshots.

    Raises InvalidName, DuplicateName, InvalidArgument, FileFault and its subclasses, NotSupported.
    A linked clone (diskMoveType createNewChildDiskBacking) reads what it has not written from the
    snapshot's files, in the folder of the source. Not simulated: instant clones, customization,
    disks on different datastores.
    """
    vcenter = source.vcenter
    _check_supported(spec)
    linked = spec.location.diskMoveType == LINKED
    with vcenter.lock:
        escaped = entity_names.checked(name)
        entity.check_free(folder, escaped)
        origin = source.live
        if spec.snapshot is not None:
            snapshot: Any = vcenter.objects.find(spec.snapshot)
            origin = snapshot.frozen
        pool: Any = source.resourcePool
        if spec.location.pool is not None:
            pool = vcenter.objects.find(spec.location.pool)
        if pool is None:
            raise faults.invalid_argument("spec.location.pool")
        datastore = datastore_files.split(source.live.files.vmPathName)[0]
        if spec.location.datastore is not None:
            datastore = vcenter.objects.find(spec.location.datastore).name
        base = creation.file_name(escaped)
        home = creation.free_folder(vcenter, datastore, base)
        vcenter.files.make_folder(home, parents=True)
    paths = _copy_disks(source, origin, home, base, linked)
    with vcenter.lock:
        if any(child.name == escaped for child in folder.children()):
            _discard(vcenter, paths.values(), home)  # another client took the name meanwhile
            entity.check_free(folder, escaped)
        live = _configuration(source, origin, home, base, paths)
        live.name = escaped
        host: Any = pool.owner.host[0]
        if spec.location.host is not None:
            host = vcenter.objects.find(spec.location.host)
        vm = VirtualMachine(vcenter, vcenter.vm_moid(), escaped, folder, live, pool, host)
        vm.disk_files.update(paths.values())
        vcenter.files.write(file_paths.nvram_path(live), files.new_nvram(live.uuid, live.firmware))
        files.write_config(vm)
        for path in paths.values() if linked else ():
            vcenter.store.disable_tracking(path)  # it begins anew, without the source's ids
        cbt_setting.apply(vm)
        disk_doors.sync(vm)
        vcenter.events.post(
            vim.event.VmCreatedEvent(template=bool(spec.template)),
            f"Cloned {source.name} to {vm.name}",
            user=user,
            entity=vm,
        )
    if spec.config is not None:
        reconfiguration.reconfigure(vm, spec.config, user=user)
    if spec.template:
        vm.set_template(True, None)
    elif spec.powerOn:
        power.power_on(vm, user=user)
    return vm


def _check_supported(spec: Any) -> None:
    move = spec.location.diskMoveType
    other = move not in (None, "moveAllDiskBackingsAndDisallowSharing", LINKED)
    if move == LINKED and spec.snapshot is None:
        raise faults.invalid_argument("spec.snapshot", "a linked clone needs a snapshot")
    for name, value in (
        ("customization", spec.customization),
        ("memory", spec.memory),
        ("location.disk", spec.location.disk),
        ("location.deviceChange", spec.location.deviceChange),
        ("location.diskMoveType", other),
    ):
        if value:
            raise vmodl.fault.NotSupported(msg=f"The simulation does not have spec.{name}")


def _copy_disks(source: Machine, origin: Any, home: str, base: str, linked: bool) -> dict[str, str]:
    """Full copies, or deltas: old path to new path. Takes long, and holds no lock."""
    store = source.vcenter.store
    paths: dict[str, str] = {}
    for disk in buses.disks(origin.hardware.device):
        path = disk.backing.fileName
        target = disk_files.new_disk_path(home, base, store.exists)
        try:
            if linked:
                store.create_delta(path, target)
            else:
                store.copy(path, target)
        except StorageError as error:
            _discard(source.vcenter, paths.values(), home)
            raise faults.from_storage(error, path) from error
        paths[path] = target
    return paths


def _discard(vcenter: ServiceHub, paths: Iterable[str], home: str) -> None:
    for path in paths:
        vcenter.store.delete(path)
    vcenter.files.delete_folder_if_empty(home)


def _configuration(
    source: Machine, origin: Any, home: str, base: str, paths: dict[str, str]
) -> Any:
    vcenter = source.vcenter
    vmx_path = f"{home}/{base}.vmx"
    fresh = config.new_config(base, vmx_path, vcenter.now())
    live = copy.copy(config.with_disk_paths(origin, paths))
    live.files = fresh.files
    live.uuid, live.instanceUuid = fresh.uuid, fresh.instanceUuid
    live.createDate, live.template = fresh.createDate, False
    nvram = vim.option.OptionValue(key="nvram", value=f"{base}.nvram")
    live.extraConfig = config.with_options(live.extraConfig, [nvram])
    live.hardware = copy.copy(live.hardware)
    live.hardware.device = [_device(source, device) for device in live.hardware.device]
    return live


def _device(source: Machine, device: Any) -> Any:
    """Disks and NICs get identities of their own."""
    cloned = copy.copy(device)
    if isinstance(device, vim.vm.device.VirtualDisk):
        cloned.backing = copy.copy(device.backing)
        cloned.backing.uuid = disk_devices.new_uuid()
        cloned.backing.datastore = datastore_of(source.vcenter, cloned.backing.fileName).ref
    elif nics.is_nic(device):
        cloned.macAddress = None
        nics.complete(source.site(), cloned, 0)
    return cloned


def privileges(source: Machine) -> list[str]:
    kind = "DeployTemplate" if source.live.template else "Clone"
    return [f"VirtualMachine.Provisioning.{kind}"]
