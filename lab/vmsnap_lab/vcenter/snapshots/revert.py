# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Going back to a snapshot."""

from __future__ import annotations

import copy
from typing import Any

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files, faults
from vmsnap_lab.vcenter.vm import (
    buses,
    cbt_setting,
    config,
    consolidation,
    disk_devices,
    disk_doors,
    disk_files,
    file_paths,
    files,
    locks,
    power,
)
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot


def revert(vm: Machine, snapshot: Snapshot, suppress_power_on: bool, *, user: str) -> None:
    """Bring disks, configuration, NVRAM and power state back; the state until now is lost.

    The name of the VM and where its files are stay. A disk the snapshot does not have is
    detached; its file stays unless it only held what is being given up. Raises NotSupported
    (template), FileLocked, FileNotFound, NoDiskSpace.
    """
    if vm.live.template:
        raise vmodl.fault.NotSupported(
            msg=f"The operation is not supported on the template {vm.name}"
        )
    locks.check_closed(vm, _given_up(vm))
    with vm.vcenter.lock:
        given_up = _given_up(vm)
        paths = _make_deltas(vm, snapshot.frozen)
        _detach(vm, snapshot.frozen, given_up)
        vm.replace_config(_rolled_back(vm, snapshot, paths))
        vm.disk_files.update(paths.values())
        for path in given_up:
            vm.delete_disk_file(path)
        vm.tree.current = snapshot
        cbt_setting.apply(vm)
        if snapshot.nvram is not None:
            vm.vcenter.files.write(file_paths.nvram_path(vm.live), snapshot.nvram)
        files.write_config(vm)
        vm.needs_consolidation = bool(consolidation.redundant(vm))
        _restore_power(vm, snapshot.state, suppress_power_on, user)
        disk_doors.sync(vm)


def _given_up(vm: Machine) -> list[str]:
    """The deltas of the current state, which nothing refers to after the revert."""
    store = vm.vcenter.store
    return [
        disk.backing.fileName
        for disk in buses.disks(vm.live.hardware.device)
        if not disk_devices.is_independent(disk)
        and store.exists(disk.backing.fileName)
        and store.parent(disk.backing.fileName) is not None
    ]


def _make_deltas(vm: Machine, frozen: Any) -> dict[str, str]:
    """A new leaf on every frozen disk of the snapshot: frozen path to leaf."""
    store = vm.vcenter.store
    made: dict[str, str] = {}
    path = ""
    try:
        for disk in buses.disks(frozen.hardware.device):
            path = disk.backing.fileName
            if not store.exists(path):
                raise faults.not_found(path)
            if disk_devices.is_independent(disk):
                continue
            if datastore_files.split(path)[0] in vm.vcenter.habits.full_datastores:
                raise faults.no_space(path)
            delta = disk_files.delta_path(path, store.exists)
            store.create_delta(path, delta, reverted=True)
            made[path] = delta
    except (StorageError, vim.fault.FileFault) as error:
        for delta in made.values():
            store.delete(delta)
        if isinstance(error, StorageError):
            raise faults.from_storage(error, path) from error
        raise
    return made


def _detach(vm: Machine, frozen: Any, given_up: list[str]) -> None:
    """Disks that the snapshot does not have leave the VM with their files in place."""
    kept = {*given_up, *disk_files.config_paths(frozen)}
    for disk in buses.disks(vm.live.hardware.device):
        if disk.backing.fileName not in kept:
            vm.release(disk)


def _rolled_back(vm: Machine, snapshot: Snapshot, paths: dict[str, str]) -> Any:
    back = copy.copy(config.with_disk_paths(snapshot.frozen, paths))
    back.name = vm.name
    back.files = vm.live.files
    habits = vm.vcenter.habits
    if not habits.revert_restores_options:
        back.extraConfig = vm.live.extraConfig
    if not habits.revert_restores_tracking:
        back.changeTrackingEnabled = vm.live.changeTrackingEnabled
    if not (habits.revert_restores_options and habits.revert_restores_tracking):
        back.extraConfig = cbt_setting.options(back)
    return back


def _restore_power(vm: Machine, state: str, suppress_power_on: bool, user: str) -> None:
    if state == power.ON and suppress_power_on:
        state = power.OFF
    if state != vm.powerState:
        power.settle(vm, state, user=user)
