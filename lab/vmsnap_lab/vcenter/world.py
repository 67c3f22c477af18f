# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What all objects of a simulated vCenter share."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

from pyVmomi import vim

from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter.datastore_files import DatastoreFiles
from vmsnap_lab.vcenter.door_keeper import DoorKeeper
from vmsnap_lab.vcenter.habits import Habits
from vmsnap_lab.vcenter.registry import Registry


class World:
    """One lock for everything, the clock, the registry of objects, and the storage.

    lock: held while models are read or changed, but not while a task merges or copies disks.
    changed: notified after every change, for those who wait for one. closing: set when waiting
    calls and running tasks are to end. clock: the current time, in UTC; tests may replace it.
    shelf: what registration keeps of VMs that left the inventory, by configuration file.
    disk_uuids: of disks that left their VM, by path. moving: paths of disk files that a task is
    merging or moving, each with its future path.
    """

    def __init__(
        self,
        store: DiskStore,
        doors: Path,
        *,
        habits: Habits,
        datastores: Sequence[str],
        is_vcenter: bool,
    ) -> None:
        """`doors` is a folder for sockets. is_vcenter: else a host without vCenter."""
        self.store = store
        self.habits = habits
        self.is_vcenter = is_vcenter
        self.instance_uuid = str(uuid.uuid4())
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.closing = threading.Event()
        self.clock: Callable[[], datetime.datetime] = _utc_now
        self.objects = Registry()
        self.doors = DoorKeeper(store, doors)
        self.files = DatastoreFiles(store, datastores)
        self.shelf: dict[str, Any] = {}
        self.disk_uuids: dict[str, str] = {}
        self.moving: dict[str, str] = {}
        self._last_change: Optional[datetime.datetime] = None

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

    # VMs and their disks

    def vms(self) -> list[Any]:
        """All VMs of the inventory, oldest first."""
        return self.objects.of_type(vim.VirtualMachine)

    def vm_moid(self) -> str:
        return self.objects.new_moid("vm-" if self.is_vcenter else "")

    def snapshot_moid(self, vm_moid: str, number: int) -> str:
        if self.is_vcenter:
            return self.objects.new_moid("snapshot-")
        return f"{vm_moid}-snapshot-{number}"

    def unused_instance_uuid(self, instance_uuid: str) -> str:
        """The UUID, or a new one if another VM has it: vCenter allows each only once."""
        taken = any(vm.live.instanceUuid == instance_uuid for vm in self.vms())
        return str(uuid.uuid4()) if taken else instance_uuid

    def disk_path(self, path: str) -> str:
        """The path of a disk file now: a task may just have merged or moved it."""
        return path if self.store.exists(path) else self.moving.get(path, path)


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
