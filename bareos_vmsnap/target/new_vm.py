# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore that creates the VM anew in vSphere and rebuilds its snapshot tree."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, NoReturn, Optional, Protocol

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.transport.access import Access, DiskAddress
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import (
    condition,
    model,
    names,
    plan_restore,
    restored_marks,
    segment_header,
)
from bareos_vmsnap.vsphere import (
    disk_paths,
    inventory,
    markers,
    nvram,
    placement,
    snapshots,
    tasks,
    vm_condition,
    vm_config,
    vmodl_json,
)
from bareos_vmsnap.vsphere.session import Session

INCOMPLETE = " (incomplete restore)"
_UNMARK_TRIES = 5
_OFF = "poweredOff"


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
    """Creates the VM, called "… (incomplete restore)" until everything has come back.

    Between two steps the VM must be as the first one left it: its snapshots and the current one,
    its power state, its disks and their files. A revert is known by the mark (see
    tree.restored_marks), which is new for every node and frozen by snapshots.
    """

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
        self._left: Optional[condition.Condition] = None  # the VM after the last step
        self._frozen_disks: dict[str, Mapping[int, segment_header.Disk]] = {}  # as vSphere has them
        self._marks = 0
        self._mark_used = False  # by a snapshot: the next node needs another
        self._has_final_name = False
        self._harmless_tasks: frozenset[str] = frozenset()

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
                self._new_mark(),
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
            mark = restored_marks.mark(self._marks, self._job)
            self._adopt(condition.Condition({}, None, _OFF, {}, mark))
        self._disks[plan_restore.ORIGIN] = {}

    def revert(self, node: str) -> None:
        """Revert to a snapshot taken in this restore; its configuration comes back with it."""
        left = self._check()
        doing = f"Reverting VM {self._destination.name} to {self._label(node)}"
        snapshot = self._snapshots[node]
        with self._translating_faults(doing):
            self._waiter.wait(snapshot.RevertToSnapshot_Task(suppressPowerOn=True), doing)
            self._leaf = dict(self._disks[node])
            frozen = self._frozen(snapshot)
            # What is reverted to once more is the same: this is no way to lose anything.
            mark = frozen[0] if frozen is not None else None
            seen = self._look()
            # Nothing promises that a revert brings extraConfig back: the mark may also have stayed.
            if seen.condition.mark == left.mark:
                mark = left.mark
            reverted = dataclasses.replace(
                left, current=snapshot._moId, mark=mark, disks=self._frozen_disks[node]
            )
            self._adopt(reverted, seen=seen)
        self._mark_used = True

    def configure(self, node: segment_header.Node) -> None:
        """Reconfigure the VM to this node: CPU, memory, devices, disks added and removed."""
        left = self._check()
        required = {disk.key: disk for disk in node.disks}
        kept = {
            key
            for key, disk in required.items()
            if key in self._leaf and self._leaf[key].identity == disk.identity
        }
        gone = [key for key in self._leaf if key not in kept]
        new = [disk for key, disk in required.items() if key not in kept]
        doing = f"Reconfiguring VM {self._destination.name} for {self._label(node.id)}"
        with self._translating_faults(doing):
            mark = self._new_mark() if self._mark_used else None
            spec = vm_config.change_spec(
                self._vm.config, self._config(node), gone, new, self._place, mark
            )
            if spec is not None:
                self._waiter.wait(self._vm.ReconfigVM_Task(spec), doing)
            self._leaf, self._mark_used = required, False
            disks = {key: disk for key, disk in left.disks.items() if key in kept}
            changed = dataclasses.replace(left, mark=mark or left.mark, disks=disks)
            self._adopt(changed, kept=frozenset(kept))

    def check(self) -> None:
        """Raise errors.RestoreError if the VM is not as the last step left it."""
        with self._translating_faults(f"Looking at VM {self._destination.name}"):
            self._check()

    def describe(self, disk: segment_header.Disk) -> DiskDescription:
        """The leaf of that disk, for writing; valid until the next step."""
        with self._translating_faults(f"Looking at VM {self._destination.name}"):
            seen = self._look()
            self._compare(self._known(), seen)
            found = seen.condition.disks.get(disk.key)
            host = seen.host.name if seen.host is not None else ""
        if found is None:
            raise errors.RestoreError(
                f"VM {self._destination.name} has no disk {disk.key} ({disk.slot})",
                id="disk-missing",
            )
        return self._access.describe(DiskAddress(self._vm._moId, disk.key, found.path, host=host))

    def take_snapshot(self, node: str, name: str, description: str) -> None:
        """Create the snapshot and check that it froze what was written, and vSphere kept its name."""
        doing = f"Creating snapshot {name!r} of VM {self._destination.name}"
        left = self._check()
        with self._translating_faults(doing):
            task = self._vm.CreateSnapshot_Task(name, description, False, False)
            snapshot = self._waiter.wait(task, doing)
            self._snapshots[node] = snapshot
            seen = self._look()
            twin = self._twin(snapshot, left, seen)
            if twin is not None:
                snapshots.delete(self._vm, twin, name, self._waiter)
                seen = self._look()
            kept = seen.condition.snapshots.get(snapshot._moId)
            entry = condition.SnapshotEntry(
                kept.name if kept is not None else name,
                kept.description if kept is not None else description,
                left.current,
            )
            taken = {**left.snapshots, snapshot._moId: entry}
            self._adopt(
                dataclasses.replace(left, snapshots=taken, current=snapshot._moId), seen=seen
            )
            if twin is None:
                self._check_frozen(snapshot, name, left)
            self._refuse_run()
        if (entry.name, entry.description) != (name, description):
            self._warn(
                "snapshot-renamed",
                f"vSphere or somebody changed the name or description of {name!r} to {entry.name!r}",
            )
        self._disks[node] = dict(self._leaf)
        self._frozen_disks[node] = left.disks
        self._mark_used = True

    def remove_helper(self, node: str) -> None:
        """Delete the snapshot that stood in for a fork."""
        left = self._check()
        with self._translating_faults(f"Removing a helper snapshot of VM {self._destination.name}"):
            helper = self._snapshots.pop(node)
            snapshots.delete(self._vm, helper, "helper", self._waiter)
            above = left.snapshots[helper._moId].parent
            remaining = {
                moref: dataclasses.replace(
                    entry, parent=above if entry.parent == helper._moId else entry.parent
                )
                for moref, entry in left.snapshots.items()
                if moref != helper._moId
            }
            current = above if left.current == helper._moId else left.current
            self._adopt(dataclasses.replace(left, snapshots=remaining, current=current))

    def nvram(self, content: bytes) -> None:
        """Write the VM's NVRAM file."""
        self.check()
        nvram.write(self._session, self._vm, content)

    def finish(self) -> str:
        """Remove the mark, give the VM its own name, set the power state."""
        name = self._destination.name
        with self._translating_faults(f"Completing VM {name}"):
            self._unmark()
            self._has_final_name = True
            self._waiter.wait(
                self._vm.Rename_Task(inventory.entity_name(name)),
                f"Giving VM {name} its name",
            )
            self._check()
            self._refuse_run()
            self._check()  # in a single call, the last one: all tasks of the VM are known by now
        self._relocation.release()
        if self._destination.powerstate == "on":
            self._power_on()
        return f"VM {name} ({self._vm._moId}) stands with {len(self._snapshots)} snapshots"

    def abandon(self, keep: bool) -> str:
        """Keep the VM, whose name says that it is incomplete, or destroy it."""
        if self._vm is None:
            return "nothing, no VM had been created"
        left: list[str] = []
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: left.append(self._keep() if keep else self._destroy()))
            self._relocation.release()  # first, while the VM is there
        return "".join(left)

    def close(self) -> None:
        """Allow migrations of the VM again, and log out: both, whatever one of them does."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._session.close)
            self._relocation.release()

    def _keep(self) -> str:
        name = self._destination.name + INCOMPLETE
        if self._has_final_name:
            try:
                task = self._vm.Rename_Task(inventory.entity_name(name))
                self._waiter.wait(task, f"Marking VM {name} as incomplete", heed_cancel=False)
            except (vmodl.MethodFault, errors.VmsnapError) as error:
                return (
                    f"the incomplete VM {self._destination.name} ({self._vm._moId}), which could "
                    f"not be renamed: {error}"
                )
        return f"the incomplete VM {name} ({self._vm._moId})"

    def _destroy(self) -> str:
        doing = f"Destroying the incomplete VM {self._destination.name}"
        try:
            self._waiter.wait(self._vm.Destroy_Task(), doing, heed_cancel=False)
        except (vmodl.MethodFault, errors.VmsnapError) as error:
            return (
                f"the incomplete VM {self._destination.name}{INCOMPLETE}, which could not be "
                f"destroyed: {error}"
            )
        return "nothing, the incomplete VM was destroyed"

    def _new_mark(self) -> str:
        self._marks += 1
        return restored_marks.mark(self._marks, self._job)

    def _unmark(self) -> None:
        """Take the mark off the configuration that was just looked at, and off no other."""
        for attempt in range(_UNMARK_TRIES):
            self._refuse_run()
            left, seen = self._known(), self._look()
            unmarked = dataclasses.replace(left, mark=None)
            # A request whose answer was lost is sent again: the first has done it. A revert brings
            # a mark, so this is none.
            if attempt == 0 or seen.condition.mark is not None:
                self._compare(left, seen)
                spec = vm_config.unmark_spec(seen.change_version)
                try:
                    self._waiter.wait(self._vm.ReconfigVM_Task(spec), "Unmarking")
                except (tasks.TaskFailedError, vim.fault.ConcurrentAccess) as failed:
                    fault = getattr(failed, "fault", failed)
                    again = isinstance(fault, vim.fault.ConcurrentAccess)
                    if not again or attempt == _UNMARK_TRIES - 1:
                        raise
                    continue
            self._left = unmarked
            self._check()
            return

    # Somebody else

    def _known(self) -> condition.Condition:
        assert self._left is not None
        return self._left

    def _look(self) -> vm_condition.Seen:
        """The VM as it is. Raises errors.RestoreError if it is gone or was started."""
        name = self._destination.name
        seen = vm_condition.read(self._session, self._vm._moId)
        if seen is None:
            self._refuse(id="vm-changed-meanwhile", deed=f"removed VM {name}")
        if vm_condition.starts(self._session, seen.tasks - self._harmless_tasks):
            self._refuse(id="vm-changed-meanwhile", deed=f"started VM {name}")
        self._harmless_tasks |= seen.tasks
        return seen

    def _check(self) -> condition.Condition:
        """The VM's condition, which is that after the last step, or errors.RestoreError."""
        left = self._known()
        self._compare(left, self._look())
        return left

    def _compare(self, expected: condition.Condition, seen: vm_condition.Seen) -> None:
        self._refuse_all(condition.differences(self._destination.name, expected, seen.condition))
        self._refuse_moved(condition.moved(expected, seen.condition.paths))

    def _adopt(
        self,
        expected: condition.Condition,
        *,
        kept: frozenset[int] = frozenset(),
        seen: Optional[vm_condition.Seen] = None,
    ) -> None:
        """A step of ours is done: the VM must be `expected` now, but for its disks' files.

        Its disks must be those of the leaf's node. Those in `expected` are still the same disks, and
        those `kept` still have the same files.
        """
        seen = seen or self._look()
        found = dict(seen.condition.disks)
        for key in found.keys() & expected.disks.keys():
            path = expected.disks[key].path if key in kept else found[key].path
            found[key] = dataclasses.replace(expected.disks[key], path=path)
        for key in {*self._leaf, *found}:
            required, disk = self._leaf.get(key), found.get(key)
            if required is None or disk is None or required.slot != disk.slot:
                slot = required.slot if required is not None else found[key].slot
                self._refuse(
                    id="vm-changed-meanwhile",
                    deed=f"changed the disks of VM {self._destination.name} ({slot})",
                )
        self._compare(dataclasses.replace(expected, disks=found), seen)
        self._left = seen.condition

    def _frozen(self, snapshot: Any) -> Optional[tuple[Optional[str], dict[int, str]]]:
        return vm_condition.read_frozen(self._session, snapshot._moId)

    def _check_frozen(self, snapshot: Any, name: str, left: condition.Condition) -> None:
        """Raise errors.RestoreError unless the new snapshot holds the leaf as it was written."""
        vm = self._destination.name
        frozen = self._frozen(snapshot)
        if frozen is None:
            self._refuse(
                id="vm-changed-meanwhile", deed=f"deleted the snapshot {name!r} of VM {vm}"
            )
        self._refuse_all(condition.frozen(vm, name, left, *frozen))
        self._refuse_moved(condition.moved(left, frozen[1]))

    def _twin(
        self, snapshot: Any, left: condition.Condition, seen: vm_condition.Seen
    ) -> Optional[Any]:
        """The first snapshot of a request that was sent twice, if it was: the new one's parent.

        Both have the same mark, and the first one holds the leaf as it was written.
        """
        entries = seen.condition.snapshots
        new = entries.get(snapshot._moId)
        if new is None or new.parent is None or new.parent in left.snapshots:
            return None
        parent = entries[new.parent]
        same = (parent.name, parent.description) == (new.name, new.description)
        if not same or parent.parent != left.current:
            return None
        twin = self._session.managed(vim.vm.Snapshot, new.parent)
        first, second = self._frozen(twin), self._frozen(snapshot)
        if first is None or second is None or second[0] != left.mark:
            return None
        as_written = not condition.frozen("", "", left, *first) and (
            condition.moved(left, first[1]) is None
        )
        return twin if as_written else None

    def _refuse_run(self) -> None:
        """Raise errors.RestoreError if the VM ran: its guest may have written."""
        if vm_condition.ran(self._session, self._vm):
            self._refuse(id="vm-changed-meanwhile", deed=f"started VM {self._destination.name}")

    def _refuse_all(self, found: list[condition.Difference]) -> None:
        if found:
            self._refuse(id=found[0].id, deed=" and ".join(difference.deed for difference in found))

    def _refuse_moved(self, found: Optional[condition.Moved]) -> None:
        if found is not None:
            raise disk_paths.moved(self._destination.name, found.before, found.now)

    def _refuse(self, *, id: str, deed: str) -> NoReturn:
        raise errors.RestoreError(
            f"Somebody {deed} while it was being restored",
            todo="Leave the VM alone, and out of other jobs, until its restore has ended; restore "
            "it again",
            id=id,
        )

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

    @contextlib.contextmanager
    def _translating_faults(self, doing: str) -> Iterator[None]:
        """Raise vSphere's faults as errors for an admin."""
        try:
            yield
        except vmodl.MethodFault as fault:
            raise tasks.TaskFailedError(doing, fault) from fault


def _children(folder: Any) -> Iterable[Any]:
    """What lies in a folder or vApp."""
    return folder.childEntity if isinstance(folder, vim.Folder) else folder.vm
