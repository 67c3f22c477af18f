# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""SearchIndex: finding inventory objects by path, UUID, datastore path."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files, entity_names
from vmsnap_lab.vcenter.entity import Entity, datacenter_of
from vmsnap_lab.vcenter.inventory.compute import HostSystem
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services import privileges
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub


class SearchIndex(Managed):
    """Guests here have neither DNS names nor addresses, so searches for these find nothing."""

    TYPE = vim.SearchIndex
    vcenter: ServiceHub

    def __init__(self, vcenter: ServiceHub, moid: str, root: Entity) -> None:
        super().__init__(vcenter, moid)
        self._root = root

    @operation("FindByInventoryPath")
    def find_by_inventory_path(self, call: Call, path: str) -> Optional[Entity]:
        """`Folder/Datacenter/vm/Folder/VM`, in which a `/` within a name is written `%2f`."""
        found: Optional[Entity] = self._root
        for part in path.strip("/").split("/"):
            if found is None:
                return None
            if part:
                found = _child(found, entity_names.escape(part))
        return self._visible(call, found)

    def _visible(self, call: Call, entity: Optional[Entity]) -> Optional[Entity]:
        """The entity, or None if the caller may not see it."""
        may = self.vcenter.authorization.has
        return entity if entity and may(call.user, privileges.VIEW, entity) else None

    @operation("FindChild")
    def find_child(self, call: Call, entity: Entity, name: str) -> Optional[Entity]:
        return self._visible(call, _child(entity, entity_names.escape(name)))

    @operation("FindByUuid")
    def find_by_uuid(
        self,
        call: Call,
        datacenter: Optional[Datacenter],
        uuid: str,
        vm_search: bool,
        instance_uuid: Optional[bool],
    ) -> Optional[Entity]:
        found = self.find_all_by_uuid(call, datacenter, uuid, vm_search, instance_uuid)
        return found[0] if found else None

    @operation("FindAllByUuid")
    def find_all_by_uuid(
        self,
        call: Call,
        datacenter: Optional[Datacenter],
        uuid: str,
        vm_search: bool,
        instance_uuid: Optional[bool],
    ) -> list[Any]:
        lowered = uuid.lower()
        found: list[Any]
        if vm_search:
            found = [
                vm
                for vm in self.vcenter.vms()
                if lowered == (vm.live.instanceUuid if instance_uuid else vm.live.uuid)
            ]
        else:
            hosts = self.vcenter.objects.of_kind(HostSystem)
            found = [host for host in hosts if host.uuid == lowered]
        return [
            entity
            for entity in found
            if (datacenter is None or datacenter_of(entity) is datacenter)
            and self._visible(call, entity)
        ]

    @operation("FindByDatastorePath")
    def find_by_datastore_path(
        self, call: Call, datacenter: Datacenter, path: str
    ) -> Optional[Entity]:
        datastore_files.split(path)
        for vm in self.vcenter.vms():
            if vm.live.files.vmPathName == path and datacenter_of(vm) is datacenter:
                return self._visible(call, vm)
        return None

    @operation("FindByDnsName")
    def find_by_dns_name(self, call: Call, datacenter: Any, name: str, vm_search: bool) -> Any:
        if vm_search:
            return None
        hosts = self.vcenter.objects.of_kind(HostSystem)
        return next((host for host in hosts if host.name == name), None)

    @operation("FindByIp")
    def find_by_ip(self, call: Call, datacenter: Any, address: str, vm_search: bool) -> Any:
        return None


def _child(entity: Entity, name: str) -> Optional[Entity]:
    for child in entity.children():
        if child.name == name:
            return child
    return None
