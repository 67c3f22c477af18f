# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore that creates the VM anew in vSphere and rebuilds its snapshot tree."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.transport.access import Access, DiskAddress
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import model, names, plan_restore, segment_header
from bareos_vmsnap.vsphere import (
    disk_paths,
    disks,
    inventory,
    markers,
    nvram,
    placement,
    snapshots,
    tasks,
    vm_config,
    vmodl_json,
)
from bareos_vmsnap.vsphere.session import Session

INCOMPLETE = " (incomplete restore)"


@dataclass(frozen=True)
class Destination:
    """What the admin requested; None means as it was at the backup. `powerstate` is on or off.

    `change_tracking` is whether the VM's own state tracked changes, `old_host` the host it was on.
    """

    name: str
    dc: str
    folder: str
    old_host: str
    change_tracking: bool
    datastore: Optional[str] = None
    host: Optional[str] = None
    cluster: Optional[str] = None
    resourcepool: Optional[str] = None
    powerstate: str = "off"
    poweron_timeout: float = 15


class Blocker(Protocol):
    """Has vCenter refuse to migrate the VM's files; see fd.relocation."""

    def start(self, vm: Any, content: Any) -> None:
        """Begin, if that is possible."""

    def release(self) -> None:
        """End; safe to call again."""


class NewVm:
    """Creates the VM, called "… (incomplete restore)" until everything has come back."""

    def __init__(
        self,
        session: Session,
        tree: model.BlockTree,
        access: Access,
        relocation_block: Blocker,
        destination: Destination,
        job: str,
        cancel: threading.Event,
        inform: Callable[[str], None],
        warn: errors.Warn,
    ) -> None:
        self._session = session
        self._tree = tree
        self._access = access
        self._relocation = relocation_block
        self._destination = destination
        self._job = job
        self._warn = warn
        self._inform = inform
        self._waiter = tasks.Waiter(cancel)
        self._place = vm_config.Placement(destination.datastore)
        self._vm: Any = None
        self._snapshots: dict[str, Any] = {}
        self._disks: dict[str, dict[int, segment_header.Disk]] = {}
        self._leaf: dict[int, segment_header.Disk] = {}
        self._written: dict[int, segment_header.Disk] = {}  # since the leaf last changed

    def create(self, node: segment_header.Node) -> None:
        """Create the VM with this node's configuration, its disks new and empty."""
        name = self._destination.name
        config = self._config(node)
        with self._translating_faults(f"Creating VM {name}"):
            place = placement.find(self._session.content, self._destination)
            self._refuse_existing(place.folder)
            home = (
                self._destination.datastore or inventory.datastore_path(config.files.vmPathName)[0]
            )
            self._refuse_datastores(place.datacenter, node.disks, home)
            spec = vm_config.create_spec(
                config,
                node.disks,
                inventory.entity_name(name),
                home,
                self._place,
                self._destination.change_tracking,
                self._job,
            )
            if self._identity_is_free(config):
                vm_config.keep_identity(spec, config)
            else:
                self._inform(
                    f"Another VM has the UUID of {self._tree.vm.name}: the restored VM gets a new "
                    "UUID and new MAC addresses"
                )
                vm_config.forget_identity(spec)
            if isinstance(place.folder, vim.VirtualApp):
                task = place.folder.CreateChildVM_Task(spec, place.host)
            else:
                task = place.folder.CreateVM_Task(spec, place.pool, place.host)
            self._vm = self._made(task, place.folder)
            self._waiter.wait(
                self._vm.Rename_Task(inventory.entity_name(name + INCOMPLETE)),
                f"Marking VM {name} as incomplete",
            )
            self._relocation.start(self._vm, self._session.content)
        self._leaf = {disk.key: disk for disk in node.disks}
        self._disks[plan_restore.ORIGIN] = {}

    def revert(self, node: str) -> None:
        """Revert to a snapshot taken in this restore; its configuration comes back with it."""
        self._check_places()
        with self._translating_faults(
            f"Reverting VM {self._destination.name} to {self._label(node)}"
        ):
            task = self._snapshots[node].RevertToSnapshot_Task(suppressPowerOn=True)
            self._waiter.wait(task, f"Reverting VM {self._destination.name} to {self._label(node)}")
        self._leaf = dict(self._disks[node])

    def configure(self, node: segment_header.Node) -> None:
        """Reconfigure the VM to this node: CPU, memory, devices, disks added and removed."""
        self._check_places()
        required = {disk.key: disk for disk in node.disks}
        kept = {
            key
            for key, disk in required.items()
            if key in self._leaf and self._leaf[key].identity == disk.identity
        }
        gone = [key for key in self._leaf if key not in kept]
        new = [disk for key, disk in required.items() if key not in kept]
        with self._translating_faults(
            f"Reconfiguring VM {self._destination.name} for {self._label(node.id)}"
        ):
            self._reconfigure(node, gone, new)
        self._leaf = required

    def describe(self, disk: segment_header.Disk) -> DiskDescription:
        """The leaf of that disk, for writing; valid until the next step."""
        host = self._vm.runtime.host
        for found in disks.find(self._vm.config.hardware.device):
            if found.disk.key == disk.key:
                self._written[disk.key] = found.disk
                address = DiskAddress(
                    self._vm._moId,
                    disk.key,
                    found.disk.path,
                    host=host.name if host is not None else "",
                )
                return self._access.describe(address)
        raise errors.RestoreError(
            f"VM {self._destination.name} has no disk {disk.key} ({disk.slot})", id="disk-missing"
        )

    def take_snapshot(self, node: str, name: str, description: str) -> None:
        """Create the snapshot and check that vSphere kept its name."""
        doing = f"Creating snapshot {name!r} of VM {self._destination.name}"
        self._check_places()
        with self._translating_faults(doing):
            task = self._vm.CreateSnapshot_Task(name, description, False, False)
            snapshot = self._waiter.wait(task, doing)
            self._snapshots[node] = snapshot
            self._remove_twins(name, description)
            kept = next(i.tree for i in snapshots.walk(self._vm) if i.moref == snapshot._moId)
        if kept.name != name or (kept.description or "") != description:
            self._warn(
                "snapshot-renamed",
                f"vSphere changed the name or description of {name!r} to {kept.name!r}",
            )
        self._disks[node] = dict(self._leaf)

    def remove_helper(self, node: str) -> None:
        """Delete the snapshot that stood in for a fork."""
        with self._translating_faults(f"Removing a helper snapshot of VM {self._destination.name}"):
            snapshots.delete(self._vm, self._snapshots.pop(node), "helper", self._waiter)

    def nvram(self, content: bytes) -> None:
        """Write the VM's NVRAM file."""
        nvram.write(self._session, self._vm, content)

    def finish(self) -> str:
        """Remove the mark, give the VM its own name, set the power state."""
        name = self._destination.name
        with self._translating_faults(f"Completing VM {name}"):
            self._check_places()
            self._refuse_unknown()
            self._waiter.wait(self._vm.ReconfigVM_Task(vm_config.unmark_spec()), "Unmarking")
            self._waiter.wait(
                self._vm.Rename_Task(inventory.entity_name(name)),
                f"Giving VM {name} its name",
            )
        self._relocation.release()
        if self._destination.powerstate == "on":
            self._power_on()
        return f"VM {name} ({self._vm._moId}) stands with {len(self._snapshots)} snapshots"

    def abandon(self, keep: bool) -> str:
        """Keep the VM, whose name says that it is incomplete, or destroy it."""
        if self._vm is None:
            return "nothing, no VM had been created"
        self._relocation.release()
        if keep:
            return f"the incomplete VM {self._destination.name}{INCOMPLETE} ({self._vm._moId})"
        doing = f"Destroying the incomplete VM {self._destination.name}"
        try:
            self._waiter.wait(self._vm.Destroy_Task(), doing, heed_cancel=False)
        except (vmodl.MethodFault, errors.VmsnapError) as error:
            return (
                f"the incomplete VM {self._destination.name}{INCOMPLETE}, which could not be "
                f"destroyed: {error}"
            )
        return "nothing, the incomplete VM was destroyed"

    def close(self) -> None:
        """Allow migrations of the VM again, and log out."""
        self._relocation.release()
        self._session.close()

    def _check_places(self) -> None:
        """Raise disk_paths.DiskMovedError if a disk that was written is in another file now."""
        written, self._written = self._written, {}
        if written:
            moref = self._vm._moId
            devices = self._session.read(vim.VirtualMachine, [moref], disk_paths.DEVICES)
            try:
                disk_paths.check(self._destination.name, devices.get(moref, []), written.values())
            except disk_paths.DiskMovedError:
                self._refuse_unknown()  # somebody else's snapshot also moves the leaf
                raise

    def _reconfigure(
        self, node: segment_header.Node, gone: Iterable[int], new: Iterable[segment_header.Disk]
    ) -> None:
        spec = vm_config.change_spec(self._vm.config, self._config(node), gone, new, self._place)
        if spec is not None:
            doing = f"Reconfiguring VM {self._destination.name} for {self._label(node.id)}"
            self._waiter.wait(self._vm.ReconfigVM_Task(spec), doing)

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

    def _remove_twins(self, name: str, description: str) -> None:
        """Delete the first snapshot of a request that was sent twice: the new one's parent."""
        for tree in self._unknown():
            if (tree.name, tree.description) != (name, description):
                self._refuse_unknown()
            snapshots.delete(self._vm, tree.snapshot, name, self._waiter)

    def _refuse_unknown(self) -> None:
        """Raise errors.RestoreError if somebody else has taken snapshots of the VM meanwhile."""
        for tree in self._unknown():
            raise errors.RestoreError(
                f"Somebody took a snapshot {tree.name!r} of VM {self._destination.name} while it "
                "was being restored",
                todo="Leave the VM alone, and out of other jobs, until its restore has ended",
                id="snapshot-foreign",
            )

    def _unknown(self) -> list[Any]:
        """The snapshots of the VM that this restore has not made."""
        ours = {snapshot._moId for snapshot in self._snapshots.values()}
        return [item.tree for item in snapshots.walk(self._vm) if item.moref not in ours]

    def _power_on(self) -> None:
        doing = f"Powering on VM {self._destination.name}"
        try:
            task = self._vm.PowerOnVM_Task()
            self._waiter.wait(task, doing, timeout=self._destination.poweron_timeout)
        except (tasks.TaskFailedError, vim.fault.VimFault) as error:
            text = f"{doing} failed, the VM is restored but off: {error}"
            self._warn("power-on-failed", text, *errors.ids(error))

    def _config(self, node: segment_header.Node) -> Any:
        try:
            return vmodl_json.decode(self._tree.configs[node.config])
        except vmodl_json.DecodeError as error:
            raise errors.RestoreError(
                f"The manifest's configuration of the VM at {self._label(node.id)} cannot be "
                f"used: {error.what}",
                todo="Is the manifest damaged, or from a vSphere newer than this pyVmomi?",
                id="vm-config-unusable",
            ) from error

    def _label(self, node: str) -> str:
        return names.called(self._tree.nodes[node].directory) if node else "its beginning"

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

    @contextmanager
    def _translating_faults(self, doing: str) -> Iterator[None]:
        """Raise vSphere's faults as errors for an admin."""
        try:
            yield
        except vmodl.MethodFault as fault:
            raise tasks.TaskFailedError(doing, fault) from fault


def _children(folder: Any) -> Iterable[Any]:
    """What lies in a folder or vApp."""
    return folder.childEntity if isinstance(folder, vim.Folder) else folder.vm
