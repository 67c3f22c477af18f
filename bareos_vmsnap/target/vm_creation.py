# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Creates the VM of a restore, its disks new and empty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.target.destination import Destination
from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.vsphere import inventory, markers, placement, tasks, vm_config
from bareos_vmsnap.vsphere.session import Session

INCOMPLETE = " (incomplete restore)"


class VmCreation:
    """Creates the VM in the destination, and nothing if one of its names is taken.

    It gets its old UUIDs and MAC addresses unless another VM has them.
    """

    def __init__(
        self,
        session: Session,
        destination: Destination,
        job: str,
        waiter: tasks.Waiter,
        inform: Callable[[str], None],
    ) -> None:
        self._session = session
        self._destination = destination
        self._job = job
        self._waiter = waiter
        self._inform = inform
        self._place = vm_config.Placement(destination.datastore)

    def create(self, config: Any, disks: Iterable[segment_header.Disk], mark: str, old: str) -> Any:
        """The VM with this configuration, disks and mark; `old` is its name at the backup.

        Raises errors.RestoreError if it cannot be created there, and vSphere's faults.
        """
        name = self._destination.name
        place = placement.find(self._session.content, self._destination)
        self._refuse_existing(place.folder)
        home = self._destination.datastore or inventory.datastore_path(config.files.vmPathName)[0]
        self._refuse_datastores(place.datacenter, disks, home)
        spec = vm_config.create_spec(
            config,
            disks,
            inventory.entity_name(name),
            home,
            self._place,
            self._destination.change_tracking,
            mark,
        )
        if self._identity_is_free(config):
            vm_config.keep_identity(spec, config)
        else:
            self._inform(
                f"Another VM has the UUID of {old}: the restored VM gets a new "
                "UUID and new MAC addresses"
            )
            vm_config.forget_identity(spec)
        if isinstance(place.folder, vim.VirtualApp):
            task = place.folder.CreateChildVM_Task(spec, place.host)
        else:
            task = place.folder.CreateVM_Task(spec, place.pool, place.host)
        return self._made(task, place.folder)

    def _made(self, task: Any, folder: Any) -> Any:
        """The VM a task creates; if the task says the name is taken, it may be by this VM.

        A request whose answer was lost with the connection is sent again.
        """
        doing = f"Creating VM {self._destination.name}"
        try:
            return self._waiter.wait(task, doing)
        except tasks.TaskFailedError as failed:
            if not isinstance(failed.fault, vim.fault.DuplicateName):
                raise
            for child in _children(folder):
                made = isinstance(child, vim.VirtualMachine) and child.config is not None
                if made and markers.restored_by(child.config) == self._job:
                    return child
            raise

    def _refuse_existing(self, folder: Any) -> None:
        final = inventory.entity_name(self._destination.name)
        names = (final, inventory.entity_name(self._destination.name + INCOMPLETE))
        for child in _children(folder):
            if child.name in names:
                raise errors.RestoreError(
                    f"{inventory.plain_name(child.name)} exists in folder "
                    f"{self._destination.folder}",
                    left="nothing, the existing VM was not touched",
                    todo="Remove or rename it, or restore under another vmname or folder",
                    id="vm-exists",
                )

    def _refuse_datastores(self, dc: Any, new: Iterable[segment_header.Disk], home: str) -> None:
        have = {store.name: store for store in dc.datastore}
        for name in sorted({home, *(self._place.of(disk) for disk in new)}):
            if name not in have:
                raise errors.RestoreError(
                    f"Datastore {name} does not exist in datacenter {self._destination.dc}",
                    left="nothing",
                    todo="Name another one with restore_datastore",
                    id="datastore-missing",
                )

    def _identity_is_free(self, config: Any) -> bool:
        search = self._session.content.searchIndex
        pairs = ((config.uuid, False), (config.instanceUuid, True))
        return not any(search.FindAllByUuid(None, uuid, True, inst) for uuid, inst in pairs)


def _children(folder: Any) -> Iterable[Any]:
    """What lies in a folder or vApp."""
    return folder.childEntity if isinstance(folder, vim.Folder) else folder.vm
