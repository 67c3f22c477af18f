# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Configurations as clients see them: with chains of disk files and change ids."""

from __future__ import annotations

import copy
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.inventory.datastores import datastore_of
from vmsnap_lab.vcenter.vm import buses
from vmsnap_lab.vcenter.world import World

VirtualDisk = vim.vm.device.VirtualDisk


def rendered(vcenter: World, moid: str, config: Any) -> Any:
    """A configuration with what only the storage knows of its disks.

    `moid` is the VM's. The configuration itself stays as it is.
    """
    shown = copy.copy(config)
    shown.hardware = copy.copy(config.hardware)
    shown.hardware.device = [
        _disk(vcenter, moid, device) if isinstance(device, VirtualDisk) else device
        for device in config.hardware.device
    ]
    datastores = {
        datastore_of(vcenter, disk.backing.fileName) for disk in buses.disks(config.hardware.device)
    }
    shown.datastoreUrl = [
        vim.vm.ConfigInfo.DatastoreUrlPair(name=datastore.name, url=datastore.url)
        for datastore in sorted(datastores, key=lambda datastore: datastore.name)
    ]
    return shown


def _disk(vcenter: World, moid: str, device: Any) -> Any:
    shown = copy.copy(device)
    shown.backing = chain(vcenter, device.backing)
    shown.diskObjectId = f"{moid.rpartition('-')[2]}-{device.key}"
    return shown


def chain(vcenter: World, backing: Any) -> Any:
    """The backing of a disk with its parents, each with its change id."""
    store = vcenter.store
    leaf = vcenter.disk_path(backing.fileName)
    if not store.exists(leaf):  # taken away behind the VM's back
        return backing
    shown = None
    for path in reversed(store.chain(leaf)):
        link = copy.copy(backing)
        link.fileName = path
        link.datastore = datastore_of(vcenter, path).ref
        link.changeId = store.change_id(path)
        link.parent = shown
        if hasattr(link, "thinProvisioned") and shown is not None:
            link.thinProvisioned = True
        if hasattr(link, "deltaDiskFormat"):
            link.deltaDiskFormat = "redoLogFormat" if shown is not None else None
        shown = link
    return shown
