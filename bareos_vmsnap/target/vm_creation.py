# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Creates the VM of a restore, its disks new and empty."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.target.destination import Destination
from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.vsphere import inventory, markers, placement, tasks, vm_config
from bareos_vmsnap.vsphere.markers import INCOMPLETE
from bareos_vmsnap.vsphere.session import Session

# Faults of a place where the VM's files cannot lie; another one may do. That the file is there is
# FileAlreadyExists, by the API reference of CreateVM_Task.
_OF_A_PLACE = (vim.fault.FileFault, vim.fault.InvalidDatastorePath, vmodl.fault.InvalidArgument)
_FOLDERS = 10
_LONGEST_FILE_NAME = 120  # bytes; of 255, with room for a number and the endings of disks' files
_UNUSUAL = re.compile(r"[^\w .()+@=,~-]")
# Seconds for which the cleanup waits for the end of a task that may yet create the VM.
_CREATION_PATIENCE = 300.0


class VmCreation:
    """Creates the VM in the destination, and nothing if one of its names is taken.

    Its name says that it is incomplete, while its files have the names of the complete VM. It gets
    its old UUIDs and MAC addresses unless another VM has them.
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
        self._name = inventory.entity_name(destination.name + INCOMPLETE)
        self._asked: Optional[Any] = None  # the folder in which a VM may have been created
        self._task: Optional[Any] = None  # that creates it there

    def create(self, config: Any, disks: Iterable[segment_header.Disk], mark: str, old: str) -> Any:
        """The VM with this configuration, disks and mark; `old` is its name at the backup.

        Raises errors.RestoreError if it cannot be created there, and vSphere's faults.
        """
        place = placement.find(self._session.content, self._destination)
        self._refuse_existing(place.folder)
        home = self._destination.datastore or inventory.datastore_path(config.files.vmPathName)[0]
        self._refuse_datastores(place.datacenter, disks, home)
        spec = vm_config.create_spec(
            config,
            disks,
            self._name,
            f"[{home}]",
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
        *paths, last = self._paths(home)
        for path in paths:
            spec.files.vmPathName = path
            try:
                return self._create(spec, place)
            except vmodl.MethodFault as fault:
                failure = tasks.TaskFailedError(self._doing, fault)
            except tasks.TaskFailedError as failed:
                failure = failed
            why = failure.fault
            if not isinstance(why, _OF_A_PLACE) or isinstance(why, vim.fault.NoDiskSpace):
                raise failure
            if not isinstance(why, vim.fault.FileAlreadyExists):
                break
        spec.files.vmPathName = last
        return self._create(spec, place)

    def recover(self) -> Any:
        """The VM that was created although create() did not learn of it, or None if there is none.

        A task that may yet create it is awaited. Raises errors.VmsnapError and vSphere's faults if
        that cannot be known.
        """
        folder = self._asked
        unknown: Optional[errors.VmsnapError] = None
        if folder is None:
            return None
        pending = (
            [self._task] if self._task else tasks.under_way(folder, "createVM", "createChildVM")
        )
        for task in pending:  # without an answer, it may be somebody else's
            try:
                self._waiter.wait(task, self._doing, timeout=_CREATION_PATIENCE, heed_cancel=False)
            except tasks.EndUnknownError as error:
                unknown = error
            except tasks.TaskFailedError as failed:
                unknown = failed if failed.id == "task-late" else unknown
        found = self._find(folder)
        if found is None and unknown is not None:
            raise unknown
        return found

    @property
    def _doing(self) -> str:
        return f"Creating VM {self._destination.name}"

    def _paths(self, home: str) -> Iterator[str]:
        """Where the VM's files may lie, the best place first; the last leaves it to vSphere, which
        calls folder and files by the VM's name as it is at first.
        """
        name = _UNUSUAL.sub("_", self._destination.name).encode()[:_LONGEST_FILE_NAME]
        plain = name.decode(errors="ignore").strip(" .") or "vm"
        for number in range(_FOLDERS):
            folder = f"{plain}_{number}" if number else plain
            yield f"[{home}] {folder}/{plain}.vmx"
        yield f"[{home}]"

    def _create(self, spec: Any, place: placement.Place) -> Any:
        """The VM; if the task says that its name is taken, it may be by this VM.

        A request whose answer was lost with the connection is sent again.
        """
        self._asked, self._task = place.folder, None
        if isinstance(place.folder, vim.VirtualApp):
            self._task = place.folder.CreateChildVM_Task(spec, place.host)
        else:
            self._task = place.folder.CreateVM_Task(spec, place.pool, place.host)
        try:
            return self._waiter.wait(self._task, self._doing)
        except tasks.TaskFailedError as failed:
            if isinstance(failed.fault, vim.fault.DuplicateName):
                found = self._find(place.folder)
                if found is not None:
                    return found
            self._asked = None
            raise

    def _find(self, folder: Any) -> Any:
        """The VM that this job has created in the folder, or None."""
        for child in _children(folder):
            # Others may be removed meanwhile.
            with contextlib.suppress(vmodl.fault.ManagedObjectNotFound):
                if isinstance(child, vim.VirtualMachine) and child.name == self._name:
                    config = child.config
                    if config is not None and markers.restored_by(config) == self._job:
                        return child
        return None

    def _refuse_existing(self, folder: Any) -> None:
        final = inventory.entity_name(self._destination.name)
        for child in _children(folder):
            if child.name in (final, self._name):
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
