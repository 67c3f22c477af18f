# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datacenters and the folders above them."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.entity import Entity, check_free
from vmsnap_lab.vcenter.inventory.datastores import Datastore
from vmsnap_lab.vcenter.inventory.folders import (
    DatastoreFolder,
    Folder,
    HostFolder,
    NetworkFolder,
    VmFolder,
)
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub


class DatacenterFolder(Folder):
    """The root folder, and folders of datacenters below it."""

    holds = (vim.Folder, vim.Datacenter)
    prefix = "group-d"

    @operation("CreateDatacenter")
    def create_datacenter(self, call: Call, name: str) -> Datacenter:
        escaped = entity_names.checked(name)
        check_free(self, escaped)
        return Datacenter(self.vcenter, escaped, self)


class Datacenter(ManagedEntity):
    """Not simulated: PowerOnMultiVM_Task (use PowerOnVM_Task), host connection queries."""

    TYPE = vim.Datacenter
    rename_privilege = "Datacenter.Rename"

    def __init__(
        self, vcenter: ServiceHub, name: str, parent: Folder, moid: Optional[str] = None
    ) -> None:
        super().__init__(vcenter, moid or vcenter.objects.new_moid("datacenter-"), name, parent)
        self.vmFolder = VmFolder(vcenter, "vm", self)
        self.hostFolder = HostFolder(vcenter, "host", self)
        self.datastoreFolder = DatastoreFolder(vcenter, "datastore", self)
        self.networkFolder = NetworkFolder(vcenter, "network", self)
        parent.add(self)

    def children(self) -> list[Entity]:
        return [self.vmFolder, self.hostFolder, self.datastoreFolder, self.networkFolder]

    @property
    def datastore(self) -> list[Any]:
        return _of_type(self.datastoreFolder, vim.Datastore)

    @property
    def network(self) -> list[Any]:
        return _of_type(self.networkFolder, vim.Network)

    @property
    def configuration(self) -> Any:
        return vim.Datacenter.ConfigInfo()

    def find_datastore(self, name: str) -> Optional[Datastore]:
        for datastore in self.datastore:
            if datastore.name == name:
                return datastore
        return None

    @operation("Destroy_Task")
    def destroy_task(self, call: Call) -> Any:
        call.require("Datacenter.Delete", self)
        return call.start(self, lambda task: self._destroy())

    def _destroy(self) -> None:
        """Stricter than vCenter, which destroys what is in it."""
        with self.vcenter.lock:
            if any(folder.children() for folder in self.children()):
                raise vim.fault.ResourceInUse(
                    type=vim.Datacenter,
                    name=self.name,
                    msg=f"The datacenter {self.name} is not empty",
                )
            assert isinstance(self.parent, Folder)
            self.parent.remove(self)
            for gone in (*self.children(), self):
                self.vcenter.objects.remove(gone)


def _of_type(folder: Entity, kind: Any) -> list[Entity]:
    return [entity for entity in folder.descendants() if issubclass(entity.TYPE, kind)]
