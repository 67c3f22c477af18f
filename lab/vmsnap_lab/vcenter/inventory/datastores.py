# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastores."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.inventory.browser import DatastoreBrowser
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.world import World

TIB = 1 << 40
CAPACITY = 10 * TIB  # shown, independent of the lab's own disk
LARGEST_FILE = 62 * TIB


class Datastore(ManagedEntity):
    """A VMFS datastore over a directory of the lab.

    Not simulated: its real capacity and free space, rename and removal.
    """

    TYPE = vim.Datastore

    def __init__(self, vcenter: ServiceHub, name: str, parent: Folder) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid("datastore-"), name, parent)
        self.browser = DatastoreBrowser(vcenter, f"datastoreBrowser-{self.moid}", [self])
        self.hosts: list[Entity] = []
        parent.add(self)

    @property
    def url(self) -> str:
        return f"ds:///vmfs/volumes/{self.moid}/"

    @property
    def _free(self) -> int:
        return 0 if self.name in self.vcenter.habits.full_datastores else CAPACITY // 2

    @property
    def summary(self) -> Any:
        return vim.Datastore.Summary(
            datastore=self.ref,
            name=self.name,
            url=self.url,
            capacity=CAPACITY,
            freeSpace=self._free,
            uncommitted=0,
            accessible=True,
            multipleHostAccess=len(self.hosts) > 1,
            type="VMFS",
            maintenanceMode="normal",
        )

    @property
    def info(self) -> Any:
        return vim.host.VmfsDatastoreInfo(
            name=self.name,
            url=self.url,
            freeSpace=self._free,
            maxFileSize=LARGEST_FILE,
            maxVirtualDiskCapacity=LARGEST_FILE,
            maxMemoryFileSize=LARGEST_FILE,
            timestamp=self.vcenter.now(),
            maxPhysicalRDMFileSize=LARGEST_FILE,
            maxVirtualRDMFileSize=LARGEST_FILE,
        )

    @property
    def capability(self) -> Any:
        return vim.Datastore.Capability(
            directoryHierarchySupported=True,
            rawDiskMappingsSupported=True,
            perFileThinProvisioningSupported=True,
            storageIORMSupported=False,
            nativeSnapshotSupported=False,
            topLevelDirectoryCreateSupported=True,
            seSparseSupported=True,
        )

    @property
    def host(self) -> list[Any]:
        mount = vim.host.MountInfo(
            path=f"/vmfs/volumes/{self.moid}", accessMode="readWrite", mounted=True, accessible=True
        )
        return [vim.Datastore.HostMount(key=host.ref, mountInfo=mount) for host in self.hosts]

    @property
    def vm(self) -> list[Any]:
        return [vm for vm in self.vcenter.vms() if self in vm.datastore]

    @operation("RefreshDatastore")
    def refresh(self, call: Call) -> None:
        """Nothing is ever out of date here."""

    @operation("RefreshDatastoreStorageInfo")
    def refresh_storage_info(self, call: Call) -> None:
        """Nothing is ever out of date here."""


def datastore_of(vcenter: World, path: str) -> Datastore:
    """The datastore of a file. Raises InvalidDatastorePath."""
    name, _ = datastore_files.split(path)
    for datastore in vcenter.objects.of_kind(Datastore):
        if datastore.name == name:
            return datastore
    raise ValueError(f"there is no datastore {name!r}")
