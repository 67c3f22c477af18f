# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where a VM is created: folder, resource pool, host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Protocol

from pyVmomi import vim

from bareos_vmsnap.vsphere import inventory


class RequestedPlace(Protocol):
    """The place that a restore asks for."""

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
        """The ESXi host the VM was on, used if no other place is requested and it is available."""

    @property
    def cluster(self) -> Optional[str]:
        """Cluster, None for any."""

    @property
    def resourcepool(self) -> Optional[str]:
        """Resource pool, None for the root pool; without a host or cluster, one in any of them."""


@dataclass(frozen=True)
class Place:
    """The managed objects to create a VM with; without a host vSphere chooses one."""

    datacenter: Any
    folder: Any
    pool: Any
    host: Any


def find(content: Any, request: RequestedPlace) -> Place:
    """Look up the objects. Raises inventory.NotFoundError."""
    dc = inventory.datacenter(content, request.dc)
    folder = inventory.vm_folder(content, request.dc, request.folder)
    host = compute = None
    if request.host:
        host = inventory.named(dc.hostFolder, content, vim.HostSystem, request.host)
        compute = host.parent
    elif request.cluster:
        kind = vim.ClusterComputeResource
        compute = inventory.named(dc.hostFolder, content, kind, request.cluster)
    if request.resourcepool:
        within = compute.resourcePool if compute is not None else dc.hostFolder
        pool = inventory.named(within, content, vim.ResourcePool, request.resourcepool)
    elif isinstance(folder, vim.VirtualApp):
        pool = folder
    else:
        if compute is None:
            host = _old_host(content, dc, request.old_host)
            compute = host.parent if host is not None else _any_compute(content, dc)
        pool = compute.resourcePool
    return Place(dc, folder, pool, host)


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
