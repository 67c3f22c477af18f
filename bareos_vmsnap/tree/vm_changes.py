# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Has somebody else changed a VM between two steps of a job, and what did they do?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Optional

from bareos_vmsnap.tree import segment_header


@dataclass(frozen=True)
class SnapshotEntry:
    """A snapshot in the VM's tree; `parent` is a moref."""

    name: str
    description: str
    parent: Optional[str]


@dataclass(frozen=True)
class Condition:
    """A VM at one moment: snapshots by moref, the current one, power state, disks by key.

    `mark` is the restore's mark in the VM's own configuration. A restore gives the leaf a new one
    for every node, and a revert brings an older one back: files may get their old names again, a
    mark never comes twice. `hardware` is the rest that snapshots freeze and guests see, by what an
    admin calls it ("memory"), `devices` are the types of all devices but disks, by their labels and
    keys; None if any will do.
    """

    snapshots: Mapping[str, SnapshotEntry]
    current: Optional[str]
    power_state: str
    disks: Mapping[int, segment_header.Disk]
    mark: Optional[str]
    hardware: Optional[Mapping[str, str]] = None
    devices: Optional[Mapping[str, str]] = None

    @property
    def paths(self) -> dict[int, str]:
        """The disks' files by key."""
        return {key: disk.path for key, disk in self.disks.items()}

    def name(self, moref: Optional[str]) -> str:
        """A snapshot for a message."""
        entry = self.snapshots.get(moref or "")
        return f"the snapshot {entry.name!r}" if entry else "a state without snapshots"


class Difference(NamedTuple):
    """What somebody did, as the rest of a sentence that begins with "Somebody"."""

    id: str
    deed: str


class Moved(NamedTuple):
    """A disk's file, and the file it is in now."""

    before: str
    now: str


def differences(vm: str, left: Condition, found: Condition) -> list[Difference]:
    """What has happened to the VM called `vm` since a step left it, but for its disks' files."""
    tree = _tree(vm, left, found)
    deeds = [*tree, *_reverts(vm, left, found, bool(tree)), *_power(vm, left, found)]
    disks = _disks(left, found)
    if disks:
        deeds.append(
            Difference(
                id="vm-changed-meanwhile", deed=f"changed the disks of VM {vm} ({', '.join(disks)})"
            )
        )
    return deeds or _hardware(vm, left, found)


def frozen(
    vm: str, snapshot: str, left: Condition, mark: Optional[str], disks: Mapping[int, str]
) -> list[Difference]:
    """What happened just before the snapshot called `snapshot` was taken of the leaf.

    `mark` and `disks`, paths by key, are those in the snapshot's configuration.
    """
    before = f"before its snapshot {snapshot!r} was taken"
    if mark != left.mark:
        return [Difference(id="vm-changed-meanwhile", deed=f"reverted VM {vm} {before}")]
    if disks.keys() != left.disks.keys():
        return [
            Difference(id="vm-changed-meanwhile", deed=f"changed the disks of VM {vm} {before}")
        ]
    return []


def moved(left: Condition, disks: Mapping[int, str]) -> Optional[Moved]:
    """A disk whose file is another one now, if there is one; `disks` are paths by key.

    Reverts and snapshots move the leaf as well: see differences() and frozen() first.
    """
    for key, disk in left.disks.items():
        if disks[key] != disk.path:
            return Moved(disk.path, disks[key])
    return None


def _tree(vm: str, left: Condition, found: Condition) -> list[Difference]:
    foreign = [
        Difference(id="snapshot-foreign", deed=f"took a snapshot {entry.name!r} of VM {vm}")
        for moref, entry in found.snapshots.items()
        if moref not in left.snapshots
    ]
    gone = [
        Difference(
            id="vm-changed-meanwhile", deed=f"deleted the snapshot {entry.name!r} of VM {vm}"
        )
        for moref, entry in left.snapshots.items()
        if moref not in found.snapshots
    ]
    edited, moved = [], []
    for moref, entry in left.snapshots.items():
        now = found.snapshots.get(moref)
        if now is not None and now.name != entry.name:
            deed = f"renamed the snapshot {entry.name!r} of VM {vm} to {now.name!r}"
            edited.append(Difference(id="vm-changed-meanwhile", deed=deed))
        elif now is not None and now.description != entry.description:
            deed = f"changed the description of the snapshot {entry.name!r} of VM {vm}"
            edited.append(Difference(id="vm-changed-meanwhile", deed=deed))
        if now is not None and now.parent != entry.parent:
            deed = f"moved the snapshot {entry.name!r} of VM {vm} below {found.name(now.parent)}"
            moved.append(Difference(id="vm-changed-meanwhile", deed=deed))
    # Below a deleted snapshot others move up, and a new one may be put between two.
    return foreign + gone + edited or moved


def _reverts(vm: str, left: Condition, found: Condition, explained: bool) -> list[Difference]:
    """A changed mark tells of a revert; another current snapshot does if it is no result of
    deleting or taking one (`explained`).
    """
    elsewhere = found.current != left.current and not explained
    if not elsewhere and found.mark == left.mark:
        return []
    return [
        Difference(
            id="vm-changed-meanwhile", deed=f"reverted VM {vm} to {found.name(found.current)}"
        )
    ]


def _power(vm: str, left: Condition, found: Condition) -> list[Difference]:
    if found.power_state == left.power_state:
        return []
    deed = f"changed the power state of VM {vm} ({left.power_state} to {found.power_state})"
    return [Difference(id="vm-changed-meanwhile", deed=deed)]


def _hardware(vm: str, left: Condition, found: Condition) -> list[Difference]:
    changes = [
        f"{name}: {was.get(name, 'none')} to {now.get(name, 'none')}"
        for was, now in ((left.hardware, found.hardware), (left.devices, found.devices))
        if was is not None and now is not None
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    ]
    if not changes:
        return []
    deed = f"changed the configuration of VM {vm} ({', '.join(changes)})"
    return [Difference(id="vm-changed-meanwhile", deed=deed)]


def _disks(left: Condition, found: Condition) -> list[str]:
    """Disks that are gone or new, or are another disk, by slot."""
    deeds = []
    for key in sorted({*left.disks, *found.disks}):
        was, now = left.disks.get(key), found.disks.get(key)
        if was is None or now is None:
            disk = was or now
            assert disk is not None
            deeds.append(f"{disk.slot} is {'new' if was is None else 'gone'}")
        elif (was.slot, was.capacity) != (now.slot, now.capacity):
            deeds.append(f"{was.slot} of {was.capacity} bytes is {now.slot} of {now.capacity}")
        elif was.uuid != now.uuid:
            deeds.append(f"{was.slot} is another disk")
    return deeds
