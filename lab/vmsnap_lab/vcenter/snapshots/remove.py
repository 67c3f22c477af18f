# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Deleting snapshots."""

from __future__ import annotations

from typing import Callable

from vmsnap_lab.vcenter.vm import consolidation, disk_doors, disk_files, file_paths, files
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

Progress = Callable[[int], None]


def remove(
    vm: Machine,
    snapshot: Snapshot,
    with_children: bool,
    consolidate: bool,
    progress: Progress,
) -> None:
    """Delete one snapshot, or it and all below it. The other snapshots keep their content.

    Raises FileLocked if its disks cannot be merged: the snapshot is gone all the same, and
    the VM needs consolidation.
    """
    doomed = list(snapshot.branch()) if with_children else [snapshot]
    _remove(vm, doomed, consolidate, progress)


def remove_all(vm: Machine, consolidate: bool, progress: Progress) -> None:
    _remove(vm, vm.tree.all(), consolidate, progress)


def _remove(vm: Machine, doomed: list[Snapshot], consolidate: bool, progress: Progress) -> None:
    with vm.vcenter.lock:
        paths: list[str] = []
        for snapshot in reversed(doomed):  # children before their parents
            vm.tree.remove(snapshot)
            vm.vcenter.objects.remove(snapshot)
            paths += disk_files.config_paths(snapshot.frozen)
            vm.vcenter.files.delete_if_there(file_paths.snapshot_data_path(vm.live, snapshot.id))
        files.write_snapshot_list(vm)
        disk_doors.sync(vm)
        if not consolidate:
            vm.needs_consolidation = bool(consolidation.redundant(vm))
    if consolidate:
        everything = vm.vcenter.habits.merge_links == "removal"
        consolidation.consolidate(vm, None if everything else paths, progress)
