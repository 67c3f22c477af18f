# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Hosts, clusters, resource pools, vApps."""

from __future__ import annotations

import uuid
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.entity import Entity, check_free
from vmsnap_lab.vcenter.inventory.browser import DatastoreBrowser
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.service import host_about

GIB = 1 << 30
HOST_MEMORY = 256 * GIB
CORES, CORE_MHZ = 32, 2600


class ComputeResource(ManagedEntity):
    """A host of its own, or a cluster.

    Not simulated: DRS, HA, maintenance; hosts stay as the inventory was built.
    """

    TYPE = vim.ComputeResource
    prefix = "domain-s"

    def __init__(self, vcenter: ServiceHub, name: str, parent: Folder) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid(self.prefix), name, parent)
        self.host: list[HostSystem] = []
        self.resourcePool = ResourcePool(vcenter, "Resources", self, self)
        parent.add(self)

    def add_host(self, name: str, datastores: list[Any], networks: list[Any]) -> HostSystem:
        host = HostSystem(self.vcenter, name, self, datastores, networks)
        self.host.append(host)
        return host

    def children(self) -> list[Entity]:
        return [self.resourcePool, *self.host]

    @property
    def datastore(self) -> list[Any]:
        return _distinct(datastore for host in self.host for datastore in host.datastore)

    @property
    def network(self) -> list[Any]:
        return _distinct(network for host in self.host for network in host.network)

    @property
    def summary(self) -> Any:
        return self._fill(vim.ComputeResource.Summary())

    def _fill(self, summary: Any) -> Any:
        hosts = len(self.host)
        summary.totalCpu = summary.effectiveCpu = hosts * CORES * CORE_MHZ
        summary.totalMemory = hosts * HOST_MEMORY
        summary.effectiveMemory = hosts * HOST_MEMORY >> 20
        summary.numCpuCores = summary.numCpuThreads = hosts * CORES
        summary.numHosts = summary.numEffectiveHosts = hosts
        summary.overallStatus = self.overallStatus
        return summary


class ClusterComputeResource(ComputeResource):
    TYPE = vim.ClusterComputeResource
    prefix = "domain-c"

    @property
    def summary(self) -> Any:
        return self._fill(vim.ClusterComputeResource.Summary())


class HostSystem(ManagedEntity):
    """Not simulated: its configuration and hardware beyond the summary, maintenance mode."""

    TYPE = vim.HostSystem

    def __init__(
        self,
        vcenter: ServiceHub,
        name: str,
        parent: ComputeResource,
        datastores: list[Any],
        networks: list[Any],
    ) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid("host-"), name, parent)
        self.uuid = str(uuid.uuid4())
        self.datastore = list(datastores)
        self.network = list(networks)
        self.datastoreBrowser = DatastoreBrowser(vcenter, f"browser-{self.moid}", self.datastore)
        for datastore in self.datastore:
            datastore.hosts.append(self)
        for network in self.network:
            network.host.append(self)

    @property
    def vm(self) -> list[Any]:
        return [vm for vm in self.vcenter.vms() if vm.host is self]

    @property
    def runtime(self) -> Any:
        return vim.host.RuntimeInfo(
            connectionState="connected", powerState="poweredOn", inMaintenanceMode=False
        )

    @property
    def summary(self) -> Any:
        return vim.host.Summary(
            host=self.ref,
            hardware=vim.host.Summary.HardwareSummary(
                vendor="bareos-vmsnap",
                model="lab",
                uuid=self.uuid,
                memorySize=HOST_MEMORY,
                cpuModel="simulated",
                cpuMhz=CORE_MHZ,
                numCpuPkgs=2,
                numCpuCores=CORES,
                numCpuThreads=CORES,
                numNics=2,
                numHBAs=1,
            ),
            runtime=self.runtime,
            config=vim.host.Summary.ConfigSummary(
                name=self.name,
                port=443,
                product=host_about(),
                vmotionEnabled=True,
                faultToleranceEnabled=False,
            ),
            quickStats=vim.host.Summary.QuickStats(),
            overallStatus=self.overallStatus,
            rebootRequired=False,
        )


class ResourcePool(ManagedEntity):
    """Not simulated: shares, reservations, limits."""

    TYPE = vim.ResourcePool
    rename_privilege = "Resource.RenamePool"
    prefix = "resgroup-"

    def __init__(
        self, vcenter: ServiceHub, name: str, parent: Entity, owner: ComputeResource
    ) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid(self.prefix), name, parent)
        self.owner = owner
        self.resourcePool: list[ResourcePool] = []

    def children(self) -> list[Entity]:
        return list(self.resourcePool)

    @property
    def vm(self) -> list[Any]:
        return [vm for vm in self.vcenter.vms() if vm.resourcePool is self]

    @property
    def config(self) -> Any:
        share = vim.ResourceAllocationInfo(reservation=0, expandableReservation=True, limit=-1)
        return vim.ResourceConfigSpec(entity=self.ref, cpuAllocation=share, memoryAllocation=share)

    @property
    def runtime(self) -> Any:
        return vim.ResourcePool.RuntimeInfo(
            memory=vim.ResourcePool.ResourceUsage(maxUsage=HOST_MEMORY),
            cpu=vim.ResourcePool.ResourceUsage(maxUsage=CORES * CORE_MHZ),
            overallStatus=self.overallStatus,
        )

    @property
    def summary(self) -> Any:
        return vim.ResourcePool.Summary(name=self.name, config=self.config, runtime=self.runtime)

    @operation("CreateResourcePool")
    def create_resource_pool(self, call: Call, name: str, spec: Any) -> ResourcePool:
        escaped = entity_names.checked(name)
        check_free(self, escaped)
        pool = ResourcePool(self.vcenter, escaped, self, self.owner)
        self.resourcePool.append(pool)
        return pool

    @operation("CreateVApp")
    def create_vapp(
        self, call: Call, name: str, resources: Any, config: Any, folder: Optional[Folder]
    ) -> VirtualApp:
        escaped = entity_names.checked(name)
        check_free(self, escaped)
        if folder is not None:
            check_free(folder, escaped)
        vapp = VirtualApp(self.vcenter, escaped, self, self.owner, folder)
        self.resourcePool.append(vapp)
        return vapp

    @operation("Destroy_Task")
    def destroy_task(self, call: Call) -> Any:
        call.require("Resource.DeletePool", self)
        return call.start(self, lambda task: self._destroy())

    def _destroy(self) -> None:
        with self.vcenter.lock:
            if not isinstance(self.parent, ResourcePool) or self.vm or self.resourcePool:
                raise vim.fault.InvalidState(msg=f"The resource pool {self.name} is in use")
            self.parent.resourcePool.remove(self)
            self.vcenter.objects.remove(self)


class VirtualApp(ResourcePool):
    """Not simulated: power operations, properties, start order."""

    TYPE = vim.VirtualApp
    rename_privilege = "VApp.Rename"
    prefix = "resgroup-v"

    def __init__(
        self,
        vcenter: ServiceHub,
        name: str,
        parent: Entity,
        owner: ComputeResource,
        folder: Optional[Folder],
    ) -> None:
        super().__init__(vcenter, name, parent, owner)
        self.parentFolder = folder
        if folder is not None:
            folder.add(self)

    def children(self) -> list[Entity]:
        return [*self.resourcePool, *self.vm]

    @property
    def parentVApp(self) -> Any:
        return self.parent if isinstance(self.parent, VirtualApp) else None

    @property
    def datastore(self) -> list[Any]:
        return _distinct(datastore for vm in self.vm for datastore in vm.datastore)

    @property
    def network(self) -> list[Any]:
        return _distinct(network for vm in self.vm for network in vm.network)

    @property
    def summary(self) -> Any:
        running = any(vm.powerState == "poweredOn" for vm in self.vm)
        return vim.VirtualApp.Summary(
            name=self.name,
            config=self.config,
            runtime=self.runtime,
            vAppState="started" if running else "stopped",
        )

    def _destroy(self) -> None:
        with self.vcenter.lock:
            super()._destroy()
            if self.parentFolder is not None:
                self.parentFolder.remove(self)


def _distinct(items: Any) -> list[Any]:
    return list(dict.fromkeys(items))
