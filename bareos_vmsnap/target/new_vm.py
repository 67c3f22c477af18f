# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore that creates the VM anew in vSphere and rebuilds its snapshot tree."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any, Callable, Protocol

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.target.destination import Destination
from bareos_vmsnap.target.vm_creation import VmCreation
from bareos_vmsnap.target.vm_watch import VmWatch
from bareos_vmsnap.transport.access import Access, DiskAddress
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import (
    model,
    names,
    plan_restore,
    restored_marks,
    segment_header,
    vm_changes,
)
from bareos_vmsnap.vsphere import (
    inventory,
    nvram,
    snapshots,
    tasks,
    vm_condition,
    vm_config,
    vmodl_json,
)
from bareos_vmsnap.vsphere.markers import INCOMPLETE
from bareos_vmsnap.vsphere.session import Session

_UNMARK_TRIES = 5
_RENAME_PATIENCE = 300.0  # seconds for which the cleanup waits for a rename of ours that runs


class Blocker(Protocol):
    """Has vCenter refuse to migrate the VM's files; see fd.relocation."""

    def start(self, vm: Any, content: Any) -> None:
        """Begin, if that is possible."""

    def release(self) -> None:
        """End; safe to call again."""


class NewVm:
    """Creates the VM, called "… (incomplete restore)" until everything has come back.

    Between two steps the VM must be as the first one left it. A revert is known by the mark (see
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
        self._waiter = tasks.Waiter(cancel)
        self._place = vm_config.Placement(destination.datastore)
        self._vm: Any = None
        self._snapshots: dict[str, Any] = {}
        self._disks: dict[str, dict[int, segment_header.Disk]] = {}
        self._leaf: dict[int, segment_header.Disk] = {}
        self._frozen: dict[str, vm_changes.Condition] = {}  # what snapshots were taken of
        self._marks = 0
        self._mark_used = False  # by a snapshot: the next node needs another
        self._has_final_name = False  # or may get it yet
        self._renaming: Any = None  # the task that gives it
        self._creation = VmCreation(session, destination, job, self._waiter, inform)
        self._watch = VmWatch(session, destination.name)

    def create(self, node: segment_header.Node) -> None:
        """Create the VM with this node's configuration, its disks new and empty."""
        config = self._config(node)
        with self._translating_faults(f"Creating VM {self._destination.name}"):
            mark = self._new_mark()
            self._vm = self._creation.create(config, node.disks, mark, self._tree.vm.name)
            self._relocation.start(self._vm, self._session.content)
            self._leaf = {disk.key: disk for disk in node.disks}
            hardware = vm_condition.hardware(node, self._destination.change_tracking)
            self._watch.begin(self._vm, self._leaf, mark, hardware)
        self._disks[plan_restore.ORIGIN] = {}

    def revert(self, node: str) -> None:
        """Revert to a snapshot taken in this restore; its configuration comes back with it."""
        left = self._watch.check()
        doing = f"Reverting VM {self._destination.name} to {self._label(node)}"
        snapshot = self._snapshots[node]
        with self._translating_faults(doing):
            task = snapshot.RevertToSnapshot_Task(suppressPowerOn=True)
            self._waiter.wait(task, doing)
            self._leaf = dict(self._disks[node])
            frozen = self._watch.frozen(snapshot)
            # What is reverted to once more is the same: this is no way to lose anything.
            mark = frozen[0] if frozen is not None else None
            seen = self._watch.look(reverted_by=task._moId)
            # Nothing promises that a revert brings extraConfig back: the mark may also have stayed.
            if seen.condition.mark == left.mark:
                mark = left.mark
            reverted = dataclasses.replace(
                left,
                current=snapshot._moId,
                mark=mark,
                disks=self._frozen[node].disks,
                hardware=self._frozen[node].hardware,
                devices=self._frozen[node].devices,
            )
            self._watch.adopt(reverted, self._leaf, seen=seen)
        self._mark_used = True

    def configure(self, node: segment_header.Node) -> None:
        """Reconfigure the VM to this node: CPU, memory, devices, disks added and removed."""
        left = self._watch.check()
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
            changed = dataclasses.replace(
                left,
                mark=mark or left.mark,
                disks=disks,
                hardware=vm_condition.hardware(node, self._destination.change_tracking),
                devices=None,
            )
            kinds = vm_condition.kinds_after(left.devices, spec)
            self._watch.adopt(changed, self._leaf, kept=frozenset(kept), kinds=kinds)

    def check(self) -> None:
        """Raise errors.RestoreError if the VM is not as the last step left it."""
        with self._translating_faults(f"Looking at VM {self._destination.name}"):
            self._watch.check()

    def describe(self, disk: segment_header.Disk) -> DiskDescription:
        """The leaf of that disk, for writing; valid until the next step."""
        with self._translating_faults(f"Looking at VM {self._destination.name}"):
            seen = self._watch.look()
            self._watch.compare(self._watch.left, seen)
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
        left = self._watch.check()
        with self._translating_faults(doing):
            task = self._vm.CreateSnapshot_Task(name, description, False, False)
            snapshot = self._waiter.wait(task, doing)
            self._snapshots[node] = snapshot
            seen = self._watch.look()
            twin = self._watch.twin(snapshot, left, seen)
            if twin is not None:
                snapshots.delete(self._vm, twin, name, self._waiter)
                seen = self._watch.look()
            kept = seen.condition.snapshots.get(snapshot._moId)
            entry = vm_changes.SnapshotEntry(
                kept.name if kept is not None else name,
                kept.description if kept is not None else description,
                left.current,
            )
            taken = {**left.snapshots, snapshot._moId: entry}
            frozen = dataclasses.replace(left, snapshots=taken, current=snapshot._moId)
            self._watch.adopt(frozen, self._leaf, seen=seen)
            if twin is None:
                self._watch.check_frozen(snapshot, name, left)
            self._watch.check_past()
        if (entry.name, entry.description) != (name, description):
            self._warn(
                "snapshot-renamed",
                f"vSphere or somebody changed the name or description of {name!r} to {entry.name!r}",
            )
        self._disks[node] = dict(self._leaf)
        self._frozen[node] = left
        self._mark_used = True

    def remove_helper(self, node: str) -> None:
        """Delete the snapshot that stood in for a fork."""
        left = self._watch.check()
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
            removed = dataclasses.replace(left, snapshots=remaining, current=current)
            self._watch.adopt(removed, self._leaf)

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
            self._renaming = self._vm.Rename_Task(inventory.entity_name(name))
            self._waiter.wait(self._renaming, f"Giving VM {name} its name")
            self._watch.check()
            self._watch.check_past()
            self._watch.check()  # in a single call, the last one: all tasks of the VM are known by now
        self._relocation.release()
        if self._destination.powerstate == "on":
            self._power_on()
        return f"VM {name} ({self._vm._moId}) stands with {len(self._snapshots)} snapshots"

    def abandon(self, keep: bool) -> str:
        """Keep the VM, whose name says that it is incomplete, or destroy it."""
        if self._vm is None:
            try:
                self._vm = self._creation.recover()
            except (vmodl.MethodFault, errors.VmsnapError) as error:
                return (
                    f"perhaps the empty VM {self._destination.name}{INCOMPLETE}: whether it was "
                    f"created, or will be, is not known ({_described(error)})"
                )
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
            doing = f"Marking VM {name} as incomplete"
            try:
                with contextlib.suppress(tasks.TaskFailedError, tasks.EndUnknownError):
                    if self._renaming is not None:  # else it may come after ours
                        self._waiter.wait(
                            self._renaming, doing, timeout=_RENAME_PATIENCE, heed_cancel=False
                        )
                task = self._vm.Rename_Task(inventory.entity_name(name))
                self._waiter.wait(task, doing, heed_cancel=False)
            except (vmodl.MethodFault, errors.VmsnapError) as error:
                return (
                    f"the incomplete VM {self._destination.name} ({self._vm._moId}), which could "
                    f"not be renamed: {_described(error)}"
                )
        return f"the incomplete VM {name} ({self._vm._moId})"

    def _destroy(self) -> str:
        doing = f"Destroying the incomplete VM {self._destination.name}"
        try:
            self._waiter.wait(self._vm.Destroy_Task(), doing, heed_cancel=False)
        except (vmodl.MethodFault, errors.VmsnapError) as error:
            return (
                f"the incomplete VM {self._destination.name}{INCOMPLETE}, which could not be "
                f"destroyed: {_described(error)}"
            )
        return "nothing, the incomplete VM was destroyed"

    def _new_mark(self) -> str:
        self._marks += 1
        return restored_marks.mark(self._marks, self._job)

    def _unmark(self) -> None:
        """Take the mark off the configuration that was just looked at, and off no other."""
        for attempt in range(_UNMARK_TRIES):
            self._watch.check_past()
            left, seen = self._watch.left, self._watch.look()
            # A request whose answer was lost is sent again: the first has done it. A revert brings
            # a mark, so this is none.
            if attempt == 0 or seen.condition.mark is not None:
                self._watch.compare(left, seen)
                spec = vm_config.unmark_spec(seen.change_version)
                try:
                    self._waiter.wait(self._vm.ReconfigVM_Task(spec), "Unmarking")
                except (tasks.TaskFailedError, vim.fault.ConcurrentAccess) as failed:
                    fault = getattr(failed, "fault", failed)
                    again = isinstance(fault, vim.fault.ConcurrentAccess)
                    if not again or attempt == _UNMARK_TRIES - 1:
                        raise
                    continue
            self._watch.expect(dataclasses.replace(left, mark=None))
            return

    def _power_on(self) -> None:
        doing = f"Powering on VM {self._destination.name}"
        try:
            task = self._vm.PowerOnVM_Task()
            self._waiter.wait(task, doing, timeout=self._destination.poweron_timeout)
        except (tasks.TaskFailedError, tasks.EndUnknownError, vim.fault.VimFault) as error:
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

    @contextlib.contextmanager
    def _translating_faults(self, doing: str) -> Iterator[None]:
        """Raise vSphere's faults as errors for an admin."""
        try:
            yield
        except vmodl.MethodFault as fault:
            raise tasks.TaskFailedError(doing, fault) from fault


def _described(error: Exception) -> str:
    return tasks.describe(error) if isinstance(error, vmodl.MethodFault) else str(error)
