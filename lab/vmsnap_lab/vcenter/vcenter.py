# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The simulated vCenter: its parts put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter.collector.collector import PropertyCollector
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.habits import Habits
from vmsnap_lab.vcenter.inventory import build
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter
from vmsnap_lab.vcenter.inventory.file_manager import FileManager
from vmsnap_lab.vcenter.inventory.search_index import SearchIndex
from vmsnap_lab.vcenter.operations import snapshots, virtual_machines, vm_folders
from vmsnap_lab.vcenter.services import privileges
from vmsnap_lab.vcenter.services.authorization import AuthorizationManager
from vmsnap_lab.vcenter.services.events import EventManager
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.options import OptionManager
from vmsnap_lab.vcenter.services.service import ServiceInstance
from vmsnap_lab.vcenter.services.sessions import SessionManager
from vmsnap_lab.vcenter.services.tasks import TaskManager
from vmsnap_lab.vcenter.services.views import ViewManager

# Imported for what they add to the kinds of objects they are about.
OPERATIONS = (virtual_machines, snapshots, vm_folders)


class VCenter(ServiceHub):
    """All managed objects of a vCenter, or of a host without one."""

    def __init__(
        self,
        store: DiskStore,
        doors: Path,
        *,
        habits: Habits,
        datastores: Sequence[str],
        flavour: str = "vcenter",
    ) -> None:
        is_vcenter = flavour == "vcenter"
        super().__init__(
            store,
            doors,
            habits=habits,
            datastores=build.datastore_names(flavour, datastores),
            is_vcenter=is_vcenter,
        )
        inventory = build.vcenter_inventory if is_vcenter else build.esxi_inventory
        self.root = inventory(self, datastores)
        self._make_services()

    def _make_services(self) -> None:
        def moid(vcenter_name: str, host_name: str) -> str:
            return vcenter_name if self.is_vcenter else host_name

        self.events = EventManager(self, moid("EventManager", "ha-eventmgr"))
        self.tasks = TaskManager(self, moid("TaskManager", "ha-taskmgr"), self.events)
        self.sessions = SessionManager(self, moid("SessionManager", "ha-sessionmgr"), self.events)
        self.authorization = AuthorizationManager(
            self, moid("AuthorizationManager", "ha-authmgr"), self.sessions, self.root
        )
        collector = PropertyCollector(self, moid("propertyCollector", "ha-property-collector"))
        self.file_manager = FileManager(self, moid("FileManager", "ha-nfc-file-manager"))
        service = ServiceInstance(self, "ServiceInstance")
        service.publish(
            rootFolder=self.root.ref,
            propertyCollector=collector.ref,
            viewManager=ViewManager(self, "ViewManager").ref,
            setting=OptionManager(self, moid("VpxSettings", "HostAgentSettings")).ref,
            sessionManager=self.sessions.ref,
            authorizationManager=self.authorization.ref,
            eventManager=self.events.ref,
            taskManager=self.tasks.ref,
            searchIndex=SearchIndex(self, moid("SearchIndex", "ha-searchindex"), self.root).ref,
            fileManager=self.file_manager.ref,
        )

    def add_user(self, name: str, password: str, granted: Optional[Sequence[str]] = None) -> None:
        """A user with all privileges on everything, or with those of a role of its own."""
        permissions = self.authorization.permissions
        self.sessions.add_user(name, password)
        role = privileges.ADMIN_ROLE
        if granted is not None:
            role = permissions.add_role(f"role of {name}", granted)
        permissions.set(self.root, name, role)

    def close(self) -> None:
        """Let waiting calls and running tasks end."""
        self.closing.set()
        self.notify()
        self.tasks.join(10.0)

    # Inventory paths

    def datacenters(self) -> list[Datacenter]:
        return self.objects.of_kind(Datacenter)

    def find_datacenter(self, path: str) -> Optional[Datacenter]:
        """By its inventory path: `Sites/Remote`."""
        for datacenter in self.datacenters():
            if self.path_of(datacenter) == path.strip("/"):
                return datacenter
        return None

    def path_of(self, entity: Entity) -> str:
        """The inventory path, without the root folder."""
        parts: list[str] = []
        place: Optional[Entity] = entity
        while place is not None and place is not self.root:
            parts.insert(0, place.name)
            place = place.container
        return "/".join(parts)
