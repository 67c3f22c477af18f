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
    def cluster(self) -> Optional[str]:
        """Cluster, None for any."""

    @property
    def resourcepool(self) -> Optional[str]:
        """Resource pool, None for the root pool."""


@dataclass(frozen=True)
class Where:
    """The managed objects to create a VM with; without a host vSphere chooses one."""

    datacenter: Any
    folder: Any
    pool: Any
    host: Any


def find(content: Any, wanted: Wanted) -> Where:
    """Look the places up. Raises inventory.NotFound."""
    dc = inventory.datacenter(content, wanted.dc)
    folder = inventory.vm_folder(content, wanted.dc, wanted.folder)
    host = None
    if wanted.host:
        host = inventory.named(dc.hostFolder, content, vim.HostSystem, wanted.host)
        compute = host.parent
    elif wanted.cluster:
        kind = vim.ClusterComputeResource
        compute = inventory.named(dc.hostFolder, content, kind, wanted.cluster)
    else:
        compute = _any_compute(content, dc)
    pool = compute.resourcePool
    if wanted.resourcepool:
        pool = inventory.named(pool, content, vim.ResourcePool, wanted.resourcepool)
    elif isinstance(folder, vim.VirtualApp):
        pool = folder
    return Where(dc, folder, pool, host)


def _any_compute(content: Any, dc: Any) -> Any:
    view = content.viewManager.CreateContainerView(dc.hostFolder, [vim.ComputeResource], True)
    try:
        found = sorted(view.view, key=lambda compute: compute.name)
    finally:
        view.Destroy()
    if not found:
        raise inventory.NotFound(f"Datacenter {dc.name} has no host a VM could be created on")
    return found[0]
