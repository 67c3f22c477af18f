# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Merging and deleting disk files that no snapshot needs any more.

What is deleted under several children stays as a hidden link: it can be merged once it
has a single child left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Optional

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.vm import cbt_setting, disk_doors, disk_files
from vmsnap_lab.vcenter.vm.machine import Machine


def unneeded(vm: Machine) -> list[str]:
    """The VM's disk files that neither its current state nor a snapshot names."""
    configs = [vm.live, *(snapshot.frozen for snapshot in vm.tree.all())]
    return sorted(disk_files.unused(vm.disk_files, configs))


def redundant(vm: Machine) -> list[str]:
    """Those of the unneeded files that could be merged or deleted."""
    return [path for path in unneeded(vm) if _is_redundant(vm, path)]


def _is_redundant(vm: Machine, path: str) -> bool:
    children = vm.vcenter.store.children(path)
    return not children or (len(children) == 1 and children[0] in vm.disk_files)


def consolidate(
    vm: Machine,
    only: Optional[Iterable[str]] = None,
    progress: Callable[[int], None] = lambda percent: None,
) -> None:
    """Merge and delete what is redundant, or what of it `only` names.

    Takes the simulation's lock for each change only: merging may take long. Raises FileLocked
    if a file is open, after all the others were done; the VM then needs consolidation.
    """
    selected = None if only is None else set(only)
    locked: list[str] = []
    done = 0
    while True:
        with vm.vcenter.lock:
            paths = [
                path
                for path in redundant(vm)
                if path not in locked and (selected is None or path in selected)
            ]
            # Deleting first spares merging what is thrown away.
            paths.sort(key=lambda path: len(vm.vcenter.store.children(path)))
        if not paths:
            break
        try:
            _consolidate_one(vm, paths[0])
        except StorageError as error:
            if error.kind != "locked":
                raise
            locked.append(paths[0])
        done += 1
        progress(100 * done // (done + len(paths)))
    with vm.vcenter.lock:
        cbt_setting.apply(vm)
        vm.needs_consolidation = bool(redundant(vm))
        disk_doors.sync(vm)
    if locked:
        raise faults.locked(locked[0])


def _consolidate_one(vm: Machine, path: str) -> None:
    store = vm.vcenter.store
    children = store.children(path)
    if children:
        vm.vcenter.moving[children[0]] = path
        try:
            store.merge_into_parent(children[0])
            with vm.vcenter.lock:
                vm.move_disk_files({children[0]: path})
        finally:
            del vm.vcenter.moving[children[0]]
    elif store.parent(path) is not None:
        store.delete(path)
        with vm.vcenter.lock:
            vm.disk_files.discard(path)
    else:
        # A whole disk that only deleted snapshots had: its file stays on the datastore.
        _thaw(vm, path)
        with vm.vcenter.lock:
            vm.disk_files.discard(path)


def _thaw(vm: Machine, path: str) -> None:
    """Make a disk that was frozen one that can be written, as the storage does with merges."""
    store = vm.vcenter.store
    if store.is_frozen(path):
        delta = disk_files.delta_path(path, store.exists)
        store.create_delta(path, delta)
        store.merge_into_parent(delta)
