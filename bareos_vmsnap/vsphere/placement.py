# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where a VM is created: folder, resource pool, host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Protocol

from pyVmomi import vim

from bareos_vmsnap.vsphere import inventory


class Wanted(Protocol):
    """The part of a restore's wishes that says where."""

    @property
    def dc(self) -> str:
        """Datacenter, its name or "/folder/name"."""

    @property
    def folder(self) -> str:
        """VM folder or vApp, "/" or "/a/b"."""

    @property
    def host(self) -> Optional[str]:
        """ESXi host, None for any."""

    @property
    def old_host(self) -> str:
        """The ESXi host the VM was on: taken where nothing else is asked for and it still stands."""

    @property
    def cluster(self) -> Optional[str]:
        """Cluster, None for any."""

    @property
    def resourcepool(self) -> Optional[str]:
        """Resource pool, None for the root pool. Without host and cluster it may be in any."""


@dataclass(frozen=True)
class Where:
    """The managed objects to create a VM with; without a host vSphere chooses one."""

    datacenter: Any
    folder: Any
    pool: Any
    host: Any


def find(content: Any, wanted: Wanted) -> Where:
    """Look the places up. Raises inventory.NotFoundError."""
    dc = inventory.datacenter(content, wanted.dc)
    folder = inventory.vm_folder(content, wanted.dc, wanted.folder)
    host = compute = None
    if wanted.host:
        host = inventory.named(dc.hostFolder, content, vim.HostSystem, wanted.host)
        compute = host.parent
    elif wanted.cluster:
        kind = vim.ClusterComputeResource
        compute = inventory.named(dc.hostFolder, content, kind, wanted.cluster)
    if wanted.resourcepool:
        within = compute.resourcePool if compute is not None else dc.hostFolder
        pool = inventory.named(within, content, vim.ResourcePool, wanted.resourcepool)
    elif isinstance(folder, vim.VirtualApp):
        pool = folder
    else:
        if compute is None:
            host = _old_host(content, dc, wanted.old_host)
            compute = host.parent if host is not None else _any_compute(content, dc)
        pool = compute.resourcePool
    return Where(dc, folder, pool, host)


def _old_host(content: Any, dc: Any, name: str) -> Optional[Any]:
    view = content.viewManager.CreateContainerView(dc.hostFolder, [vim.HostSystem], True)
    try:
        found = [host for host in view.view if host.name == name]
    finally:
        view.Destroy()
    usable = (h for h in found if h.runtime.connectionState == "connected")
    return next((h for h in usable if not h.runtime.inMaintenanceMode), None)


def _any_compute(content: Any, dc: Any) -> Any:
    view = content.viewManager.CreateContainerView(dc.hostFolder, [vim.ComputeResource], True)
    try:
        found = sorted(view.view, key=lambda compute: compute.name)
    finally:
        view.Destroy()
    if not found:
        raise inventory.NotFoundError(
            f"Datacenter {dc.name} has no host a VM could be created on", id="host-missing"
        )
    return found[0]
