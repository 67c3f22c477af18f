# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Deleting snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from vmsnap_lab.vcenter.vm import consolidation, disk_files, files

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.vm.machine import VirtualMachine
    from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

Progress = Callable[[int], None]


def remove(
    vm: VirtualMachine,
    snapshot: Snapshot,
    with_children: bool,
    consolidate: bool,
    progress: Progress,
) -> None:
    """Delete one snapshot, or it and all below it. The other snapshots keep their content.

    Raises FileLocked where its disks cannot be merged: the snapshot is gone all the same, and
    the VM needs consolidation.
    """
    doomed = list(snapshot.branch()) if with_children else [snapshot]
    _remove(vm, doomed, consolidate, progress)


def remove_all(vm: VirtualMachine, consolidate: bool, progress: Progress) -> None:
    _remove(vm, vm.tree.all(), consolidate, progress)


def _remove(
    vm: VirtualMachine, doomed: list[Snapshot], consolidate: bool, progress: Progress
) -> None:
    with vm.vcenter.lock:
        paths: list[str] = []
        for snapshot in reversed(doomed):  # children before their parents
            vm.tree.remove(snapshot)
            vm.vcenter.objects.remove(snapshot)
            paths += disk_files.config_paths(snapshot.frozen)
            vm.vcenter.files.delete_if_there(files.snapshot_data_path(vm, snapshot))
        files.write_snapshot_list(vm)
        vm.vcenter.doors.sync(vm)
        if not consolidate:
            vm.needs_consolidation = bool(consolidation.redundant(vm))
    if consolidate:
        everything = vm.vcenter.habits.merge_links == "removal"
        consolidation.consolidate(vm, None if everything else paths, progress)
