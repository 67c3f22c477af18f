# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Finding things in the inventory: datacenters, folders, VMs, hosts, pools, datastores."""

from __future__ import annotations

from typing import Any, Optional
from urllib.parse import quote

from pyVmomi import vim

from bareos_vmsnap import errors


class NotFoundError(errors.VmsnapError):
    """An inventory object named in an option does not exist, or its name is ambiguous."""


def entity_name(name: str) -> str:
    """A name as vSphere keeps it: slash, backslash and percent sign are escaped (%2f, %5c, %25)."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def plain_name(name: str) -> str:
    """The reverse of entity_name()."""
    return name.replace("%2f", "/").replace("%5c", "\\").replace("%25", "%")


def datacenter(content: Any, path: str) -> Any:
    """The datacenter at `path`: its name, or "/folder/name" if it lies in a folder."""
    found = content.searchIndex.FindByInventoryPath(path.strip("/"))
    if not isinstance(found, vim.Datacenter):
        what = f"Datacenter {path} does not exist" if found is None else f"{path} is no datacenter"
        raise NotFoundError(
            what,
            todo="Check the option dc; datacenters in folders need /folder/name",
            id="datacenter-missing",
        )
    return found


def virtual_machine(content: Any, dc: str, folder: str, name: str) -> Any:
    """The VM `name` in the VM folder `folder` ("/" or "/a/b") or vApp of datacenter `dc`."""
    parent = vm_folder(content, dc, folder)
    children = parent.vm if isinstance(parent, vim.VirtualApp) else parent.childEntity
    escaped = entity_name(name)
    found = [
        child
        for child in children
        if isinstance(child, vim.VirtualMachine) and child.name in (name, escaped)
    ]
    if not found:
        raise NotFoundError(
            f"VM {name} does not exist in folder {folder} of datacenter {dc}",
            todo="Check dc, folder and vmname; upper and lower case matter",
            id="vm-missing",
        )
    if len(found) > 1:
        raise NotFoundError(
            f"VM {name} is ambiguous: {len(found)} VMs in folder {folder} of datacenter {dc} have "
            "that name",
            todo="Use the option uuid (the instance UUID) instead of dc, folder and vmname",
            id="vm-ambiguous",
        )
    return found[0]


def vm_folder(content: Any, dc: str, folder: str) -> Any:
    """The VM folder (or vApp) at the path `folder` of datacenter `dc`."""
    at: Any = datacenter(content, dc).vmFolder
    for part in [part for part in folder.split("/") if part]:
        at = content.searchIndex.FindChild(at, part) or content.searchIndex.FindChild(
            at, entity_name(part)
        )
        if not isinstance(at, (vim.Folder, vim.VirtualApp)):
            raise NotFoundError(
                f"VM folder {folder} does not exist in datacenter {dc} (at {part!r})",
                id="folder-missing",
            )
    return at


def by_uuid(content: Any, uuid: str) -> Any:
    """The VM with that instance UUID, or else with that BIOS UUID if it is unique."""
    for instance in (True, False):
        found = content.searchIndex.FindAllByUuid(None, uuid, True, instance) or []
        if len(found) > 1:
            raise NotFoundError(
                f"{len(found)} VMs have the UUID {uuid}",
                todo="Use dc, folder, vmname",
                id="vm-ambiguous",
            )
        if found:
            return found[0]
    raise NotFoundError(f"No VM has the UUID {uuid}", todo="Check the option uuid", id="vm-missing")


def location(vm: Any) -> tuple[Any, str]:
    """The datacenter of a VM and the path of the folder or vApp it lies in, below "/".

    Names in the path are as vSphere keeps them, so that a slash in one is not a separator.
    """
    parts: list[str] = []
    at = vm.parentVApp or vm.parent
    while at is not None and not isinstance(at, vim.Datacenter):
        parts.append(at.name)
        # The parent of a vApp is the resource pool it draws from, parentFolder where it is shown.
        is_vapp = isinstance(at, vim.VirtualApp)
        at = (at.parentVApp or at.parentFolder) if is_vapp else at.parent
    if at is None:
        raise NotFoundError(
            f"VM {vm.name} lies in no datacenter this user can see", id="datacenter-hidden"
        )
    return at, "/" + "/".join(reversed(parts[:-1]))


def datacenter_path(dc: Any) -> str:
    """The path of a datacenter as dcPath= and FindByInventoryPath take it, "folder/name"."""
    parts = [dc.name]
    at = dc.parent
    while at is not None and at.parent is not None:
        parts.append(at.name)
        at = at.parent
    return "/".join(reversed(parts))


def named(within: Any, content: Any, kind: Any, name: str) -> Any:
    """The one object of type `kind` called `name` below `within`."""
    view = content.viewManager.CreateContainerView(within, [kind], True)
    try:
        found = [obj for obj in view.view if plain_name(obj.name) == name or obj.name == name]
    finally:
        view.Destroy()
    label = kind.__name__.rsplit(".", 1)[-1]
    if not found:
        raise NotFoundError(f"{label} {name} does not exist in {within.name}", id="object-missing")
    if len(found) > 1:
        raise NotFoundError(
            f"{label} {name} is ambiguous in {within.name}: {len(found)} have that name",
            id="object-ambiguous",
        )
    return found[0]


def datastore_path(path: str) -> tuple[str, str]:
    """Split "[datastore1] vm/vm.vmdk" into ("datastore1", "vm/vm.vmdk")."""
    store, _, rest = path.partition("] ")
    return store.lstrip("["), rest


def datastore_url(server: str, port: int, path: str, dc: Optional[str]) -> str:
    """The HTTPS URL of a datastore file. `dc` is None for a single ESXi host."""
    store, file = datastore_path(path)
    dc_path = f"dcPath={quote(dc, safe='')}&" if dc else ""
    return f"https://{server}:{port}/folder/{quote(file)}?{dc_path}dsName={quote(store, safe='')}"
