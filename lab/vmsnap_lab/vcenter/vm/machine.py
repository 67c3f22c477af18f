# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Virtual machines."""

from __future__ import annotations

import contextlib
import copy
import datetime
from typing import TYPE_CHECKING, Any, Optional

from pyVmomi import vim

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.inventory import managed_entity
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.vm import (
    config,
    files,
    layout,
    nics,
    power,
    rendering,
    status,
)
from vmsnap_lab.vcenter.vm.site import Site
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot, SnapshotTree

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
    from vmsnap_lab.vcenter.services.tasks import Task
    from vmsnap_lab.vcenter.vcenter import VCenter


class VirtualMachine(managed_entity.ManagedEntity):
    """State and properties; what clients can do with a VM is in `vcenter.operations`.

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
        vcenter: VCenter,
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
        self.powerState = power.OFF
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

    # Properties

    @property
    def container(self) -> Any:
        return self.parent if self.parent is not None else self.parentVApp

    @property
    def config(self) -> Any:
        return rendering.rendered(self.vcenter, self.moid, self.live)

    @property
    def capability(self) -> Any:
        return status.capability(self)

    @property
    def runtime(self) -> Any:
        return status.runtime(self)

    @property
    def summary(self) -> Any:
        return status.summary(self)

    @property
    def guest(self) -> Any:
        return status.guest(self)

    @property
    def layoutEx(self) -> Any:
        return layout.layout_ex(self)

    @property
    def layout(self) -> Any:
        return layout.layout(self)

    @property
    def storage(self) -> Any:
        return layout.storage(self)

    @property
    def snapshot(self) -> Any:
        return self.tree.describe()

    @property
    def disabledMethod(self) -> list[Any]:
        return [vim.VirtualMachine.Relocate] if self.migration_disabled_by else []

    @property
    def rootSnapshot(self) -> list[Snapshot]:
        return list(self.tree.roots)

    @property
    def datastore(self) -> list[Any]:
        paths = [self.live.files.vmPathName, *sorted(self.disk_files)]
        return list(dict.fromkeys(self.vcenter.datastore_of(path) for path in paths))

    @property
    def network(self) -> list[Any]:
        site = self.site()
        found = [
            nics.network_of(site, device)
            for device in self.live.hardware.device
            if nics.is_nic(device)
        ]
        return list(dict.fromkeys(network for network in found if network is not None))

    # Changes, all made with the simulation's lock held

    def site(self) -> Site:
        path = self.live.files.vmPathName
        return Site(
            self.vcenter,
            managed_entity.datacenter_of(self),
            datastore_files.folder_of(path),
            files.base_of(path),
            running=self.powerState != power.OFF,
        )

    def replace_config(self, new: Any) -> None:
        """Make `new` the live configuration, under a new change version."""
        new = copy.copy(new)
        new.modified = self.vcenter.now()
        new.changeVersion = self.vcenter.change_version()
        self.live = new

    def rename(self, name: str) -> None:
        with self.vcenter.lock:
            super().rename(name)
            renamed = copy.copy(self.live)
            renamed.name = self.name
            self.replace_config(renamed)
            files.write_config(self)

    def move_disk_files(self, paths: dict[str, str]) -> None:
        """Disk files have new paths, or were merged into others: old path to new path."""
        self.disk_files = {paths.get(path, path) for path in self.disk_files}
        datastores = {new: self.vcenter.datastore_of(new).ref for new in paths.values()}
        self.live = config.with_disk_paths(self.live, paths, datastores)
        for snapshot in self.tree.all():
            snapshot.frozen = config.with_disk_paths(snapshot.frozen, paths, datastores)

    def set_home(self, vmx_path: str) -> None:
        """The configuration file, and all that lies beside it, is somewhere else now."""
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
        """One that somebody opened at the last moment stays for consolidation."""
        with contextlib.suppress(StorageError):
            self.vcenter.store.delete(path)
            self.disk_files.discard(path)

    def leave_folder(self) -> None:
        if isinstance(self.parent, Folder):
            self.parent.remove(self)
