# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which doors a VM has: one for each disk of each state, `<vm>/snapshot-9/2000.sock`.

`current` stands for the state of now: readable and writable, by one client, while the VM is off,
and closed to all while it is not, as VMware refuses to open a disk in use. A second door,
`2000-single.sock`, shows a disk's own file without its parents, read-only.
"""

from __future__ import annotations

import functools

from vmsnap_lab.storage import Door, StorageError
from vmsnap_lab.vcenter.door_keeper import Resolve
from vmsnap_lab.vcenter.vm import buses, power
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

CURRENT = "current"
SINGLE_LINK = "-single"


def sync(vm: Machine) -> None:
    """Open and close doors so that they are those of the VM's present tree and disks."""
    doors: dict[str, Resolve] = {}
    for disk in buses.disks(vm.live.hardware.device):
        _add(doors, CURRENT, disk.key, functools.partial(_current, vm, disk.key))
    for snapshot in vm.tree.all():
        for disk in buses.disks(snapshot.frozen.hardware.device):
            _add(doors, snapshot.moid, disk.key, functools.partial(_frozen, snapshot, disk.key))
    vm.vcenter.doors.sync(vm.moid, doors)


def _add(doors: dict[str, Resolve], state: str, key: int, resolve: Resolve) -> None:
    doors[f"{state}/{key}.sock"] = resolve
    doors[f"{state}/{key}{SINGLE_LINK}.sock"] = lambda: Door(
        resolve().path, writable=False, single_link=True
    )


# These run on the storage's own thread, which must not wait: they only read what is replaced
# and never changed, and take no lock.


def _current(vm: Machine, key: int) -> Door:
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
