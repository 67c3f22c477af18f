# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Creating VMs."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import datastore_files, entity, entity_names, faults
from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
from vmsnap_lab.vcenter.inventory.folders import VmFolder
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.vm import (
    cbt_setting,
    config,
    devices,
    disk_doors,
    disk_files,
    file_paths,
    files,
    hardware,
    reconfiguration,
)
from vmsnap_lab.vcenter.vm.site import Site
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine

LONGEST_FILE_NAME = 150  # bytes, which leaves room for the suffixes of disks


def check_privileges(call: Call, target: Any, pool: ResourcePool, spec: Any) -> None:
    """Raises NoPermission. `target` is the folder, or the vApp if there is none."""
    call.require("Resource.AssignVMToPool", pool)
    for change in spec.deviceChange:
        for privilege in reconfiguration.device_privileges(change):
            call.require(privilege, target)


def create(
    folder: Optional[VmFolder],
    spec: Any,
    pool: ResourcePool,
    host: Optional[HostSystem],
    *,
    user: str,
) -> VirtualMachine:
    """A new VM in `folder`, or without one in the vApp `pool`.

    Raises InvalidName, DuplicateName, InvalidDatastore, InvalidArgument and all that a
    reconfiguration raises; then nothing of the VM is left.
    """
    place: Any = folder if folder is not None else pool
    with place.vcenter.lock:
        name = entity_names.checked(spec.name or "")
        entity.check_free(place, name)
        site = _site(place, name, spec)
        made_folder = not place.vcenter.files.is_folder(site.home)
        if made_folder:
            place.vcenter.files.make_folder(site.home, parents=True)
        try:
            return _create(place, site, name, spec, pool, host, user)
        except vmodl.MethodFault:
            if made_folder:
                place.vcenter.files.delete_folder_if_empty(site.home)
            raise


def _create(
    place: Any,
    site: Site,
    name: str,
    spec: Any,
    pool: ResourcePool,
    host: Optional[HostSystem],
    user: str,
) -> VirtualMachine:
    vcenter = place.vcenter
    vmx_path = f"{site.home}/{site.base}.vmx"
    host = _host(pool, host)
    live = config.with_spec(config.new_config(name, vmx_path, vcenter.now()), spec)
    live.instanceUuid = vcenter.unused_instance_uuid(live.instanceUuid)
    if config.option(live, "nvram") is None:
        nvram = vim.option.OptionValue(key="nvram", value=f"{site.base}.nvram")
        live.extraConfig = config.with_options(live.extraConfig, [nvram])
    datastore_files.split(file_paths.nvram_path(live))  # before disks are made
    editor = devices.DeviceEditor(site, [])
    editor.apply(spec.deviceChange)
    editor.devices += _labelled(hardware.default_devices(editor.devices))
    live.hardware.device = editor.finish()
    live.extraConfig = cbt_setting.options(live)
    editor.files.carry_out(vcenter)
    vm = VirtualMachine(vcenter, vcenter.vm_moid(), name, place, live, pool, host)
    vm.disk_files.update(disk_files.config_paths(live))
    vcenter.files.write(file_paths.nvram_path(live), files.new_nvram(live.uuid, live.firmware))
    files.write_config(vm)
    cbt_setting.apply(vm)
    disk_doors.sync(vm)
    vcenter.events.post(
        vim.event.VmCreatedEvent(template=False), f"Created {name}", user=user, entity=vm
    )
    return vm


def _labelled(default: list[Any]) -> list[Any]:
    for device in default:
        device.deviceInfo = vim.Description(label=hardware.label(device, []), summary="")
    return default


def _site(place: Any, name: str, spec: Any) -> Site:
    """The place of the new VM; its folder is named after it unless the spec has a name."""
    path = spec.files.vmPathName if spec.files is not None else None
    if not path:
        raise faults.invalid_argument("configSpec.files.vmPathName")
    vcenter = place.vcenter
    datastore, inner = datastore_files.split(path)
    base = file_name(name)
    site = Site(vcenter, entity.datacenter_of(place), "", base, running=False)
    site.datastore(datastore)
    site.check_space(path)
    if inner.endswith(".vmx"):
        if "/" not in inner:
            raise faults.invalid_argument("configSpec.files.vmPathName", "A VM needs a folder")
        site.home = datastore_files.folder_of(path)
        site.base = file_paths.base_of(path)
        if vcenter.files.exists(path):
            raise faults.already_exists(path)
        return site
    site.home = free_folder(vcenter, datastore, inner or base)
    return site


def file_name(name: str) -> str:
    """The name of a VM as one of folders and files, which have bounds."""
    short = name.encode()[:LONGEST_FILE_NAME].decode(errors="ignore")
    return "_" + short.lstrip(".") if short.startswith(".") else short


def free_folder(vcenter: Any, datastore: str, name: str) -> str:
    """A folder that is not there yet: `vm`, `vm_1`, ..."""
    number = 0
    while True:
        path = datastore_files.join(datastore, f"{name}_{number}" if number else name)
        if not vcenter.files.exists(path):
            return path
        number += 1


def _host(pool: ResourcePool, host: Optional[HostSystem]) -> HostSystem:
    """The call's host, or one of the pool's. Raises InvalidArgument."""
    hosts = pool.owner.host
    if host is None:
        return hosts[0]
    if host not in hosts:
        raise faults.invalid_argument("host", "The host does not belong to the resource pool")
    return host
