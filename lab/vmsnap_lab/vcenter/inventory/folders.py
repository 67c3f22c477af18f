# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Folders."""

from __future__ import annotations

from typing import Any, ClassVar, Optional, TypeVar

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.entity import Entity, check_free
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub

Kind = TypeVar("Kind", bound="Folder")


class Folder(ManagedEntity):
    """One kind of folder for each kind of child.

    Not simulated: adding hosts, clusters, switches and storage pods through the API.
    """

    TYPE = vim.Folder
    rename_privilege = "Folder.Rename"
    holds: ClassVar[tuple[Any, ...]] = (vim.Folder,)
    prefix: ClassVar[str] = "group-"

    def __init__(
        self,
        vcenter: ServiceHub,
        name: str,
        parent: Optional[Entity],
        moid: Optional[str] = None,
    ) -> None:
        super().__init__(vcenter, moid or vcenter.objects.new_moid(self.prefix), name, parent)
        self.childEntity: list[Entity] = []

    @property
    def childType(self) -> list[Any]:
        return list(self.holds)

    def children(self) -> list[Entity]:
        return list(self.childEntity)

    def add(self, entity: Entity) -> None:
        self.childEntity.append(entity)

    def remove(self, entity: Entity) -> None:
        self.childEntity.remove(entity)

    def subfolder(self: Kind, name: str) -> Kind:
        """A new folder of the same kind. Raises InvalidName, DuplicateName."""
        escaped = entity_names.checked(name)
        check_free(self, escaped)
        folder = type(self)(self.vcenter, escaped, self)
        self.add(folder)
        return folder

    @operation("CreateFolder")
    def create_folder(self, call: Call, name: str) -> Folder:
        return self.subfolder(name)

    @operation("MoveIntoFolder_Task")
    def move_into_task(self, call: Call, entities: list[Entity]) -> Any:
        for entity in entities:
            kind = "VirtualMachine.Inventory" if entity.TYPE is vim.VirtualMachine else "Folder"
            call.require(f"{kind}.Move", entity)
        return call.start(self, lambda task: self._move_into(entities))

    def _move_into(self, entities: list[Entity]) -> None:
        with self.vcenter.lock:
            for entity in entities:
                same_kind = not isinstance(entity, Folder) or type(entity) is type(self)
                if not issubclass(entity.TYPE, self.holds) or not same_kind:
                    raise vmodl.fault.NotSupported(
                        msg=f"The folder {self.name} does not hold {entity.TYPE.__name__}"
                    )
                if entity is self or self in entity.descendants():
                    raise vim.fault.InvalidFolder(
                        target=self.ref, msg=f"{entity.name} cannot be moved into itself"
                    )
                check_free(self, entity.name)
            for entity in entities:
                if isinstance(entity.parent, Folder):
                    entity.parent.remove(entity)
                entity.parent = self
                self.add(entity)

    @operation("Destroy_Task")
    def destroy_task(self, call: Call) -> Any:
        call.require("Folder.Delete", self)
        return call.start(self, lambda task: self._destroy())

    def _destroy(self) -> None:
        """Stricter than vCenter, which destroys everything in the folder with it."""
        with self.vcenter.lock:
            if not isinstance(self.parent, Folder):
                raise vmodl.fault.NotSupported(msg=f"The folder {self.name} cannot be deleted")
            if self.childEntity:
                raise vim.fault.ResourceInUse(
                    type=vim.Folder, name=self.name, msg=f"The folder {self.name} is not empty"
                )
            self.parent.remove(self)
            self.vcenter.objects.remove(self)


class VmFolder(Folder):
    holds = (vim.Folder, vim.VirtualMachine, vim.VirtualApp)
    prefix = "group-v"


class HostFolder(Folder):
    holds = (vim.Folder, vim.ComputeResource)
    prefix = "group-h"


class DatastoreFolder(Folder):
    holds = (vim.Folder, vim.Datastore, vim.StoragePod)
    prefix = "group-s"


class NetworkFolder(Folder):
    holds = (vim.Folder, vim.Network, vim.DistributedVirtualSwitch)
    prefix = "group-n"
