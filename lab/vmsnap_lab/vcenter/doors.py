# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""NBD doors to the disks of VMs, where the paths of their sockets say what is behind."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from vmsnap_lab.storage import Door, StorageError
from vmsnap_lab.vcenter.vm import buses, power

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.vcenter import VCenter
    from vmsnap_lab.vcenter.vm.machine import VirtualMachine
    from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

CURRENT = "current"
SINGLE_LINK = "-single"
Resolve = Callable[[], Door]


class DoorKeeper:
    """Keeps one socket per VM, snapshot and disk: `<root>/vm-7/snapshot-9/2000.sock`.

    `current` stands for the state of now: readable and writable, by one client, while the VM
    is off, and closed to all while it is not, as VMware refuses to open a disk in use. A
    second socket, `2000-single.sock`, shows a disk's own file without its parents, read-only.
    """

    def __init__(self, vcenter: VCenter, root: Path) -> None:
        self._vcenter = vcenter
        self.root = root
        self._open: dict[str, set[Path]] = {}  # by the VM's id

    def sync(self, vm: VirtualMachine) -> None:
        """Open and close doors so that they are those of the VM's present tree and disks."""
        wanted: dict[Path, Resolve] = {}
        for disk in buses.disks(vm.live.hardware.device):
            self._add(wanted, vm.moid, CURRENT, disk.key, functools.partial(_current, vm, disk.key))
        for snapshot in vm.tree.all():
            for disk in buses.disks(snapshot.frozen.hardware.device):
                find = functools.partial(_frozen, snapshot, disk.key)
                self._add(wanted, vm.moid, snapshot.moid, disk.key, find)
        there = self._open.setdefault(vm.moid, set())
        for path in there - wanted.keys():
            self._close(path)
        for path in wanted.keys() - there:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._vcenter.store.open_door(path, wanted[path])
        self._open[vm.moid] = set(wanted)

    def close(self, vm: VirtualMachine) -> None:
        """Close all doors of a VM that has left the inventory."""
        for path in self._open.pop(vm.moid, set()):
            self._close(path)
        with contextlib.suppress(OSError):  # never had a disk
            (self.root / vm.moid).rmdir()

    def _add(
        self, wanted: dict[Path, Resolve], vm: str, state: str, key: int, find: Resolve
    ) -> None:
        folder = self.root / vm / state
        wanted[folder / f"{key}.sock"] = find
        wanted[folder / f"{key}{SINGLE_LINK}.sock"] = lambda: Door(
            find().path, writable=False, single_link=True
        )

    def _close(self, path: Path) -> None:
        self._vcenter.store.close_door(path)
        with contextlib.suppress(OSError):  # other disks are still there
            path.parent.rmdir()


# These run on the storage's own thread, which must not wait: they only read what is replaced
# and never changed, and take no lock.


def _current(vm: VirtualMachine, key: int) -> Door:
    device = buses.find(vm.live.hardware.device, key)
    if device is None:
        raise StorageError("missing", f"{vm.name} has no disk {key}")
    if vm.powerState != power.OFF:
        raise StorageError("locked", f"{vm.name} is not powered off")
    path = vm.vcenter.disk_path(device.backing.fileName)
    return Door(path, writable=not vm.live.template)


def _frozen(snapshot: Snapshot, key: int) -> Door:
    device = buses.find(snapshot.frozen.hardware.device, key)
    if device is None:
        raise StorageError("missing", f"{snapshot.moid} has no disk {key}")
    return Door(snapshot.vcenter.disk_path(device.backing.fileName))
