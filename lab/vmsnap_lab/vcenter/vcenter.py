# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The simulated vCenter: its parts put together."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.collector.collector import PropertyCollector
from vmsnap_lab.vcenter.datastore_files import DatastoreFiles
from vmsnap_lab.vcenter.doors import DoorKeeper
from vmsnap_lab.vcenter.habits import Habits
from vmsnap_lab.vcenter.inventory import build
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter
from vmsnap_lab.vcenter.inventory.datastores import Datastore
from vmsnap_lab.vcenter.inventory.file_manager import FileManager
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.inventory.search_index import SearchIndex
from vmsnap_lab.vcenter.objects import Objects
from vmsnap_lab.vcenter.operations import snapshots, virtual_machines
from vmsnap_lab.vcenter.services import privileges
from vmsnap_lab.vcenter.services.authorization import AuthorizationManager
from vmsnap_lab.vcenter.services.events import EventManager
from vmsnap_lab.vcenter.services.options import OptionManager
from vmsnap_lab.vcenter.services.service import ServiceInstance
from vmsnap_lab.vcenter.services.sessions import SessionManager
from vmsnap_lab.vcenter.services.tasks import TaskManager
from vmsnap_lab.vcenter.services.views import ViewManager
from vmsnap_lab.vcenter.soap.dispatch import Dispatcher
from vmsnap_lab.vcenter.vm.machine import VirtualMachine
from vmsnap_lab.vcenter.vm.registration import Shelved

# Imported for what they add to the kinds of objects they are about.
OPERATIONS = (virtual_machines, snapshots)


class VCenter:
    """All managed objects, one lock for them all, and the clock.

    lock: held while models are read or changed, but not while a task merges or copies disks.
    changed: notified after every change, for those who wait for one. clock: the current time,
    in UTC; may be replaced by tests.
    """

    def __init__(
        self,
        store: DiskStore,
        doors: Path,
        *,
        habits: Habits,
        datastores: Sequence[str],
        flavour: str = "vcenter",
    ) -> None:
        self.store = store
        self.habits = habits
        self.is_vcenter = flavour == "vcenter"
        self.instance_uuid = str(uuid.uuid4())
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.closing = threading.Event()
        self.clock: Callable[[], datetime.datetime] = _utc_now
        self.objects = Objects()
        self.doors = DoorKeeper(self, doors)
        self.files = DatastoreFiles(store, build.datastore_names(flavour, datastores))
        self.shelf: dict[str, Shelved] = {}  # unregistered VMs, by configuration file
        self.disk_uuids: dict[str, str] = {}  # of disks that left their VM, by path
        self.moving: dict[str, str] = {}  # disk files being merged or moved: where they end up
        self._last_change: Optional[datetime.datetime] = None
        self._make_services()
        inventory = build.vcenter_inventory if self.is_vcenter else build.esxi_inventory
        self.root = inventory(self, datastores)

    def _make_services(self) -> None:
        def moid(vcenter_name: str, host_name: str) -> str:
            return vcenter_name if self.is_vcenter else host_name

        self.service = ServiceInstance(self, "ServiceInstance")
        self.sessions = SessionManager(self, moid("SessionManager", "ha-sessionmgr"))
        self.authorization = AuthorizationManager(self, moid("AuthorizationManager", "ha-authmgr"))
        self.events = EventManager(self, moid("EventManager", "ha-eventmgr"))
        self.tasks = TaskManager(self, moid("TaskManager", "ha-taskmgr"))
        self.collector = PropertyCollector(self, moid("propertyCollector", "ha-property-collector"))
        self.views = ViewManager(self, moid("ViewManager", "ViewManager"))
        self.search = SearchIndex(self, moid("SearchIndex", "ha-searchindex"))
        self.file_manager = FileManager(self, moid("FileManager", "ha-nfc-file-manager"))
        self.options = OptionManager(self, moid("VpxSettings", "HostAgentSettings"))
        self.dispatcher = Dispatcher(self)

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

    # Time and change

    def now(self) -> datetime.datetime:
        return self.clock()

    def change_version(self) -> str:
        """A version of a configuration: a time, different from all before."""
        now = self.now()
        if self._last_change is not None and now <= self._last_change:
            now = self._last_change + datetime.timedelta(microseconds=1)
        self._last_change = now
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # Looking things up

    def vms(self) -> list[VirtualMachine]:
        return self.objects.of_kind(VirtualMachine)

    def datacenters(self) -> list[Datacenter]:
        return self.objects.of_kind(Datacenter)

    def entity(self, reference: Any) -> Optional[ManagedEntity]:
        """The inventory object of a reference, None for one that is gone."""
        found = self.objects.get(reference._moId) if reference is not None else None
        return found if isinstance(found, ManagedEntity) else None

    def datastore_of(self, path: str) -> Datastore:
        """Raises InvalidDatastorePath."""
        name, _ = datastore_files.split(path)
        for datastore in self.objects.of_kind(Datastore):
            if datastore.name == name:
                return datastore
        raise ValueError(f"there is no datastore {name!r}")

    def disk_path(self, path: str) -> str:
        """Where a disk file is now that a task may just have merged or moved."""
        return path if self.store.exists(path) else self.moving.get(path, path)

    def find_datacenter(self, path: str) -> Optional[Datacenter]:
        """By its inventory path: `Sites/Remote`."""
        for datacenter in self.datacenters():
            if self.path_of(datacenter) == path.strip("/"):
                return datacenter
        return None

    def path_of(self, entity: ManagedEntity) -> str:
        """The inventory path, without the root folder."""
        parts: list[str] = []
        place: Optional[ManagedEntity] = entity
        while place is not None and place is not self.root:
            parts.insert(0, place.name)
            place = place.container
        return "/".join(parts)

    def snapshot_moid(self, vm: VirtualMachine, number: int) -> str:
        if self.is_vcenter:
            return self.objects.new_moid("snapshot-")
        return f"{vm.moid}-snapshot-{number}"

    def vm_moid(self) -> str:
        return self.objects.new_moid("vm-" if self.is_vcenter else "")

    def unused_instance_uuid(self, wanted: str) -> str:
        """`wanted`, or a new one where another VM has it: vCenter keeps them apart."""
        taken = any(vm.live.instanceUuid == wanted for vm in self.vms())
        return str(uuid.uuid4()) if taken else wanted


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
