# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""FileManager: plain files and folders of datastores."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files, faults
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call

PRIVILEGE = "Datastore.FileManagement"


class FileManager(Managed):
    """Disks and folders can be deleted here, but neither moved nor copied."""

    TYPE = vim.FileManager

    @operation("MakeDirectory")
    def make_directory(
        self, call: Call, path: str, datacenter: Optional[Datacenter], parents: Optional[bool]
    ) -> None:
        self._check(call, path, datacenter)
        self.vcenter.files.make_folder(path, bool(parents))

    @operation("DeleteDatastoreFile_Task")
    def delete_task(self, call: Call, path: str, datacenter: Optional[Datacenter]) -> Any:
        self._check(call, path, datacenter)
        return call.start(None, lambda task: self.delete(path))

    @operation("MoveDatastoreFile_Task")
    def move_task(
        self,
        call: Call,
        source: str,
        source_datacenter: Optional[Datacenter],
        target: str,
        target_datacenter: Optional[Datacenter],
        force: Optional[bool],
    ) -> Any:
        self._check(call, source, source_datacenter)
        self._check(call, target, target_datacenter or source_datacenter)
        return call.start(None, lambda task: self.vcenter.files.move(source, target, bool(force)))

    @operation("CopyDatastoreFile_Task")
    def copy_task(
        self,
        call: Call,
        source: str,
        source_datacenter: Optional[Datacenter],
        target: str,
        target_datacenter: Optional[Datacenter],
        force: Optional[bool],
    ) -> Any:
        self._check(call, source, source_datacenter)
        self._check(call, target, target_datacenter or source_datacenter)
        return call.start(None, lambda task: self.vcenter.files.copy(source, target, bool(force)))

    def delete(self, path: str) -> None:
        with self.vcenter.lock:
            prefix = path.rstrip("/") + "/"
            for vm in self.vcenter.vms():
                for used in (vm.live.files.vmPathName, *vm.disk_files):
                    if used == path or used.startswith(prefix):
                        raise faults.locked(used)
            self.vcenter.files.delete(path)

    def _check(self, call: Call, path: str, datacenter: Optional[Datacenter]) -> None:
        """The datastore must be one of the datacenter, and the caller have the right to it.

        Raises InvalidDatastorePath, InvalidArgument, NoPermission.
        """
        if datacenter is None:
            if self.vcenter.is_vcenter:
                raise faults.invalid_argument("datacenter", "A datastore path needs a datacenter")
            datacenter = self.vcenter.objects.of_kind(Datacenter)[0]
        name, _ = datastore_files.split(path)
        datastore = datacenter.find_datastore(name)
        if datastore is None:
            raise vim.fault.InvalidDatastorePath(
                datastorePath=path, msg=f"Invalid datastore path '{path}'."
            )
        call.require(PRIVILEGE, datastore)
