# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A storage array's snapshots: a VM's folder as it was, put back without vSphere being asked.

Configuration (extraConfig included), list of snapshots, disks and change tracking go back; the event
history and the rest of the inventory do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmsnap_lab.storage.store import Photographs
from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.vm import disk_doors, files, power
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot, SnapshotTree
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine


@dataclass(frozen=True)
class FolderImage:
    """What the folder of a VM held at a moment.

    snapshots: what each was made of, parents first, with its parent's number. counter: the tree.
    """

    live: Any
    snapshots: Sequence[tuple[Mapping[str, Any], Optional[int]]]
    current: Optional[int]
    counter: SnapshotTree
    disk_files: frozenset[str]
    needs_consolidation: bool
    disks: Photographs
    plain: Mapping[str, bytes]


def take(vm: VirtualMachine) -> FolderImage:
    """The folder as it is now, whatever the VM does."""
    vcenter = vm.vcenter
    with vcenter.lock:
        folder = datastore_files.folder_of(vm.live.files.vmPathName)
        paths = [f"{folder}/{name}" for name in files.plain_names(vm)]
        return FolderImage(
            vm.live,
            [(_made_of(each), each.parent.id if each.parent else None) for each in vm.tree.all()],
            vm.tree.current.id if vm.tree.current else None,
            SnapshotTree.continuing(vm.tree),
            frozenset(vm.disk_files),
            vm.needs_consolidation,
            vcenter.store.photograph(sorted(vm.disk_files)),
            {path: vcenter.files.read(path) for path in paths if vcenter.files.exists(path)},
        )


def roll_back_disks(vm: VirtualMachine, image: FolderImage) -> None:
    """Put only the disks back, as if the other files were on another LUN; the VM is off.

    Raises ValueError if the VM has other files of disks now, and as roll_back() does.
    """
    vcenter = vm.vcenter
    with vcenter.lock:
        power.check(vm, power.OFF)
        if vm.disk_files != image.disk_files:
            raise ValueError("the VM has other disk files now, its configuration would be broken")
        vcenter.store.roll_back(sorted(vm.disk_files), image.disks)


def roll_back(vm: VirtualMachine, image: FolderImage) -> None:
    """Put the folder back under a VM that is off and stays registered.

    vCenter finds the snapshots anew, under new ids of its own. Raises InvalidPowerState, and
    StorageError "locked" if a disk is open.
    """
    vcenter = vm.vcenter
    with vcenter.lock:
        power.check(vm, power.OFF)
        there = sorted(path for path in vm.disk_files if vcenter.store.exists(path))
        vcenter.store.roll_back(there, image.disks)
        for snapshot in vm.tree.all():
            vcenter.objects.remove(snapshot)
        vm.tree = SnapshotTree.continuing(image.counter)
        found: dict[int, Snapshot] = {}
        for made_of, parent in image.snapshots:
            snapshot = Snapshot(vm, parent=None if parent is None else found[parent], **made_of)
            found[snapshot.id] = snapshot
            vm.tree.add(snapshot)
        vm.tree.current = None if image.current is None else found[image.current]
        vm.disk_files = set(image.disk_files)
        vm.needs_consolidation = image.needs_consolidation
        vm.replace_config(image.live)
        for path, content in image.plain.items():
            vcenter.files.write(path, content)
        disk_doors.sync(vm)


def _made_of(snapshot: Snapshot) -> Mapping[str, Any]:
    names = ("name", "description", "created", "state", "quiesced", "frozen", "nvram")
    return {"number": snapshot.id, **{name: getattr(snapshot, name) for name in names}}
