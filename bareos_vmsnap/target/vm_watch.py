# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Watches the VM that a restore builds: between two steps nobody else may change it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn, Optional

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.tree import segment_header, vm_changes
from bareos_vmsnap.vsphere import disk_paths, vm_condition
from bareos_vmsnap.vsphere.session import Session


class VmWatch:
    """Compares the VM with how the last step of the restore left it: its snapshots and the current
    one, its power state, its disks and their files, and the mark (see tree.restored_marks).

    Methods raise errors.RestoreError if somebody else has changed it.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._vm: Any = None
        self._left: Optional[vm_changes.Condition] = None
        self._harmless_tasks: frozenset[str] = frozenset()

    def begin(
        self,
        vm: Any,
        leaf: Mapping[int, segment_header.Disk],
        mark: str,
        hardware: Mapping[str, str],
    ) -> None:
        """Watch a VM that was just created with these disks, by their keys."""
        self._vm = vm
        self.adopt(vm_changes.Condition({}, None, "poweredOff", {}, mark, hardware), leaf)

    @property
    def left(self) -> vm_changes.Condition:
        """The VM after the last step."""
        assert self._left is not None
        return self._left

    def look(self, *, reverted_by: Optional[str] = None) -> vm_condition.Seen:
        """The VM as it is. Raises errors.RestoreError if it is gone, was started or reverted.

        `reverted_by`: the moref of a task of ours that has just reverted it. Other reverts before
        that one do no harm; it may be one of two, if its request was sent twice.
        """
        seen = vm_condition.read(self._session, self._vm._moId)
        if seen is None:
            self._refuse(id="vm-changed-meanwhile", deed=f"removed VM {self._name}")
        deeds = vm_condition.deeds(self._session, seen.tasks - self._harmless_tasks)
        if reverted_by is not None:
            deeds = dataclasses.replace(deeds, reverts=frozenset())
            self._harmless_tasks |= {reverted_by}
        self._refuse_deeds(deeds)
        self._harmless_tasks |= seen.tasks
        return seen

    def expect(self, expected: vm_changes.Condition) -> None:
        """A step of ours is done: the VM must be `expected` now."""
        self._left = expected
        self.check()

    def check(self) -> vm_changes.Condition:
        """The VM's condition, which is that after the last step."""
        self.compare(self.left, self.look())
        return self.left

    def compare(self, expected: vm_changes.Condition, seen: vm_condition.Seen) -> None:
        """Raise unless the VM was seen as it is expected."""
        self._refuse_all(vm_changes.differences(self._name, expected, seen.condition))
        self._refuse_moved(vm_changes.moved(expected, seen.condition.paths))

    def adopt(
        self,
        expected: vm_changes.Condition,
        leaf: Mapping[int, segment_header.Disk],
        *,
        kept: frozenset[int] = frozenset(),
        kinds: Optional[Counter[str]] = None,
        seen: Optional[vm_condition.Seen] = None,
    ) -> None:
        """A step of ours is done: the VM must be `expected` now, but for its disks' files.

        Its disks must be those of `leaf`. Those in `expected` are still the same disks, and
        those `kept` still have the same files. `kinds`: how many devices of each type there must be.
        """
        seen = seen or self.look()
        found = dict(seen.condition.disks)
        for key in found.keys() & expected.disks.keys():
            path = expected.disks[key].path if key in kept else found[key].path
            found[key] = dataclasses.replace(expected.disks[key], path=path)
        for key in {*leaf, *found}:
            required, disk = leaf.get(key), found.get(key)
            if required is None or disk is None or required.slot != disk.slot:
                slot = required.slot if required is not None else found[key].slot
                self._refuse(
                    id="vm-changed-meanwhile",
                    deed=f"changed the disks of VM {self._name} ({slot})",
                )
        if kinds is not None and kinds != Counter((seen.condition.devices or {}).values()):
            self._refuse(id="vm-changed-meanwhile", deed=f"changed the devices of VM {self._name}")
        self.compare(dataclasses.replace(expected, disks=found), seen)
        self._left = seen.condition

    def frozen(self, snapshot: Any) -> Optional[tuple[Optional[str], dict[int, str]]]:
        """The mark of a snapshot, and its disks' files; None if it is gone."""
        return vm_condition.read_frozen(self._session, snapshot._moId)

    def check_frozen(self, snapshot: Any, name: str, left: vm_changes.Condition) -> None:
        """Raise unless the new snapshot holds the leaf as it was written."""
        frozen = self.frozen(snapshot)
        if frozen is None:
            self._refuse(
                id="vm-changed-meanwhile", deed=f"deleted the snapshot {name!r} of VM {self._name}"
            )
        self._refuse_all(vm_changes.frozen(self._name, name, left, *frozen))
        self._refuse_moved(vm_changes.moved(left, frozen[1]))

    def twin(
        self, snapshot: Any, left: vm_changes.Condition, seen: vm_condition.Seen
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
        first, second = self.frozen(twin), self.frozen(snapshot)
        if first is None or second is None or second[0] != left.mark:
            return None
        as_written = not vm_changes.frozen("", "", left, *first) and (
            vm_changes.moved(left, first[1]) is None
        )
        return twin if as_written else None

    def check_past(self) -> None:
        """Raise if the VM ran, as its guest may have written, or was reverted by somebody else: of
        two reverts nothing may be left to see, if they do not bring the mark back.
        """
        self._refuse_deeds(vm_condition.past(self._session, self._vm))

    def _refuse_deeds(self, deeds: vm_condition.Deeds) -> None:
        if deeds.started:
            self._refuse(id="vm-changed-meanwhile", deed=f"started VM {self._name}")
        if deeds.reverts - self._harmless_tasks:
            self._refuse(id="vm-changed-meanwhile", deed=f"reverted VM {self._name}")

    def _refuse_all(self, found: list[vm_changes.Difference]) -> None:
        if found:
            self._refuse(id=found[0].id, deed=" and ".join(difference.deed for difference in found))

    def _refuse_moved(self, found: Optional[vm_changes.Moved]) -> None:
        if found is not None:
            raise disk_paths.moved(self._name, found.before, found.now)

    def _refuse(self, *, id: str, deed: str) -> NoReturn:
        raise errors.RestoreError(
            f"Somebody {deed} while it was being restored",
            todo="Leave the VM alone, and out of other jobs, until its restore has ended; restore "
            "it again",
            id=id,
        )
