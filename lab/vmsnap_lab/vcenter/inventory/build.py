# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The inventory a lab starts with."""

from __future__ import annotations

from collections.abc import Sequence

from vmsnap_lab.vcenter.inventory.compute import (
    ClusterComputeResource,
    ComputeResource,
    ResourcePool,
    VirtualApp,
)
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter, DatacenterFolder
from vmsnap_lab.vcenter.inventory.datastores import Datastore
from vmsnap_lab.vcenter.inventory.networks import (
    DistributedVirtualPortgroup,
    DistributedVirtualSwitch,
    Network,
)
from vmsnap_lab.vcenter.services.hub import ServiceHub

REMOTE_DATASTORE = "remote1"


def datastore_names(flavour: str, main: Sequence[str]) -> list[str]:
    """All datastores an inventory has: those of the first site and of the second one."""
    return [*main, REMOTE_DATASTORE] if flavour == "vcenter" else list(main)


def vcenter_inventory(vcenter: ServiceHub, datastores: Sequence[str]) -> DatacenterFolder:
    """Two datacenters, one of them in folders with a `/` in a name.

    `Lab` has a host of its own, a cluster of two with a resource pool and a vApp, folders of
    VMs, two networks and a distributed port group; `Sites/Branch%2fOffice/Remote` has one host.
    """
    root = DatacenterFolder(vcenter, "Datacenters", None, moid="group-d1")
    lab = Datacenter(vcenter, "Lab", root)
    stores = [Datastore(vcenter, name, lab.datastoreFolder) for name in datastores]
    networks = [
        Network(vcenter, name, lab.networkFolder) for name in ("VM Network", "Storage Network")
    ]
    switch = DistributedVirtualSwitch(vcenter, "dvs-lab", lab.networkFolder)
    networks.append(DistributedVirtualPortgroup(vcenter, "dv-lab", lab.networkFolder, switch))
    single = ComputeResource(vcenter, "esx1.lab", lab.hostFolder)
    single.add_host("esx1.lab", stores, networks)
    cluster = ClusterComputeResource(vcenter, "Cluster", lab.hostFolder)
    for name in ("esx2.lab", "esx3.lab"):
        cluster.add_host(name, stores, networks)
    _pools(vcenter, cluster, lab)
    production = lab.vmFolder.subfolder("Production")
    production.subfolder("Linux")
    _remote(vcenter, root.subfolder("Sites").subfolder("Branch/Office"))
    return root


def _pools(vcenter: ServiceHub, cluster: ClusterComputeResource, lab: Datacenter) -> None:
    top = cluster.resourcePool
    top.resourcePool.append(ResourcePool(vcenter, "Pool", top, cluster))
    vapp = VirtualApp(vcenter, "vApp", top, cluster, lab.vmFolder)
    top.resourcePool.append(vapp)


def _remote(vcenter: ServiceHub, folder: DatacenterFolder) -> None:
    remote = Datacenter(vcenter, "Remote", folder)
    store = Datastore(vcenter, REMOTE_DATASTORE, remote.datastoreFolder)
    network = Network(vcenter, "VM Network", remote.networkFolder)
    single = ComputeResource(vcenter, "esx9.remote", remote.hostFolder)
    single.add_host("esx9.remote", [store], [network])


def esxi_inventory(vcenter: ServiceHub, datastores: Sequence[str]) -> DatacenterFolder:
    """What a host without vCenter shows: one datacenter of a fixed name."""
    root = DatacenterFolder(vcenter, "ha-folder-root", None, moid="ha-folder-root")
    datacenter = Datacenter(vcenter, "ha-datacenter", root, moid="ha-datacenter")
    stores = [Datastore(vcenter, name, datacenter.datastoreFolder) for name in datastores]
    network = Network(vcenter, "VM Network", datacenter.networkFolder)
    single = ComputeResource(vcenter, "localhost.localdomain", datacenter.hostFolder)
    single.add_host("localhost.localdomain", stores, [network])
    return root
