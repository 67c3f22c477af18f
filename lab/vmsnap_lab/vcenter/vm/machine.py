# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The state of a VM, and how it changes."""

from __future__ import annotations

import contextlib
import copy
import datetime
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, entity
from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
from vmsnap_lab.vcenter.inventory.datastores import datastore_of
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.task import Task
from vmsnap_lab.vcenter.vm import config, file_paths
from vmsnap_lab.vcenter.vm.site import Site
from vmsnap_lab.vcenter.vm.snapshot_tree import SnapshotTree

POWERED_OFF = "poweredOff"


class Machine(ManagedEntity):
    """A VM without the properties that clients read: see `vm.virtual_machine`.

    live: the configuration now; replaced, never changed. disk_files: all disk files that are
    the VM's to merge and delete, hidden links of deleted snapshots included. busy: the task
    that works on the VM; there is one at a time. migration_disabled_by: the identities for which
    RelocateVM_Task is disabled, oldest first.

    Not simulated: the guest, guest operations, console, questions, fault tolerance,
    encryption, storage policies, OVF export, vApp properties.
    """

    TYPE = vim.VirtualMachine
    rename_privilege = "VirtualMachine.Config.Rename"
    guestHeartbeatStatus = "gray"

    def __init__(
        self,
        vcenter: ServiceHub,
        moid: str,
        name: str,
        place: Any,
        live: Any,
        pool: Optional[ResourcePool],
        host: HostSystem,
    ) -> None:
        folder = place if isinstance(place, Folder) else None
        super().__init__(vcenter, moid, name, folder)
        self.parentVApp = None if folder is not None else place
        self.resourcePool = pool
        self.host = host
        self.powerState = POWERED_OFF
        self.boot_time: Optional[datetime.datetime] = None
        self.tree = SnapshotTree()
        self.disk_files: set[str] = set()
        self.needs_consolidation = False
        self.busy: Optional[Task] = None
        self.migration_disabled_by: list[str] = []
        self.live = live
        self.replace_config(live)
        if folder is not None:
            folder.add(self)

    @property
    def container(self) -> Any:
        return self.parent if self.parent is not None else self.parentVApp

    @property
    def datastore(self) -> list[Any]:
        paths = [self.live.files.vmPathName, *sorted(self.disk_files)]
        return list(dict.fromkeys(datastore_of(self.vcenter, path) for path in paths))

    # Changes, all made with the simulation's lock held

    def site(self) -> Site:
        path = self.live.files.vmPathName
        return Site(
            self.vcenter,
            entity.datacenter_of(self),
            datastore_files.folder_of(path),
            file_paths.base_of(path),
            running=self.powerState != POWERED_OFF,
        )

    def replace_config(self, new: Any) -> None:
        """Make `new` the live configuration, under a new change version."""
        new = copy.copy(new)
        new.modified = self.vcenter.now()
        new.changeVersion = self.vcenter.change_version()
        self.live = new

    def move_disk_files(self, paths: dict[str, str]) -> None:
        """Disk files have new paths, or were merged into others: old path to new path."""
        self.disk_files = {paths.get(path, path) for path in self.disk_files}
        datastores = {new: datastore_of(self.vcenter, new).ref for new in paths.values()}
        self.live = config.with_disk_paths(self.live, paths, datastores)
        for snapshot in self.tree.all():
            snapshot.frozen = config.with_disk_paths(snapshot.frozen, paths, datastores)

    def set_home(self, vmx_path: str) -> None:
        """The configuration file, with the files beside it, was moved."""
        moved = copy.copy(self.live)
        moved.files = config.files_of(vmx_path)
        self.replace_config(moved)

    def set_template(self, template: bool, pool: Optional[ResourcePool]) -> None:
        marked = copy.copy(self.live)
        marked.template = template
        self.resourcePool = pool
        self.replace_config(marked)

    def release(self, disk: Any) -> None:
        """A disk leaves the VM; its file stays where it is."""
        path = disk.backing.fileName
        self.disk_files.discard(path)
        if disk.backing.uuid:
            self.vcenter.disk_uuids[path] = disk.backing.uuid

    def delete_disk_file(self, path: str) -> None:
        """One that was opened at the last moment stays for consolidation."""
        with contextlib.suppress(StorageError):
            self.vcenter.store.delete(path)
            self.disk_files.discard(path)

    def leave_folder(self) -> None:
        if isinstance(self.parent, Folder):
            self.parent.remove(self)
