# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM of the lab, as its users work with it."""

from __future__ import annotations

import random
from typing import Any, Optional

from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

from .portrait import Portrait

BLOCK = 64 << 10  # bytes CBT tells apart


class Machine:
    """The managed object `vm` and, behind the API's back, the `guest` in it."""

    def __init__(self, lab: Lab, guest: Guest, client: Any) -> None:
        self.lab = lab
        self.guest = guest
        self.client = client
        self.vm: Any = vim.VirtualMachine(guest.moref, client._stub)

    @property
    def name(self) -> str:
        return str(self.vm.name)

    @property
    def roots(self) -> list[Any]:
        """The snapshot tree's roots."""
        info = self.vm.snapshot  # read once: the last one may be going away
        return list(info.rootSnapshotList) if info else []

    @property
    def snapshot_names(self) -> list[str]:
        """Of all snapshots, parents first."""
        names, pending = [], self.roots
        while pending:
            node = pending.pop(0)
            names.append(node.name)
            pending = [*(node.childSnapshotList or []), *pending]
        return names

    def snapshot(self, name: str, description: str = "", *, memory: bool = False) -> Any:
        """Take a snapshot."""
        return self._done(self.vm.CreateSnapshot_Task(name, description, memory, False))

    def revert(self, snapshot: Any) -> None:
        """Go back to a snapshot; the VM stays off."""
        self._done(snapshot.RevertToSnapshot_Task(suppressPowerOn=True))

    def remove(self, snapshot: Any) -> None:
        """Delete a snapshot, its children stay."""
        self._done(snapshot.RemoveSnapshot_Task(removeChildren=False))

    def reconfigure(self, *devices: Any, **values: Any) -> None:
        """Change devices (see hardware.py) and fields of the configuration."""
        self._done(self.vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=list(devices), **values)))

    def switch_off(self) -> None:
        """Switch the VM off, as a client of the vCenter does."""
        self._done(self.vm.PowerOffVM_Task())

    def remove_all(self) -> None:
        """Delete all snapshots."""
        self._done(self.vm.RemoveAllSnapshots_Task())

    def power_on(self) -> None:
        """As a user does it, with a task."""
        self._done(self.vm.PowerOnVM_Task())

    def power_off(self) -> None:
        """As a user does it, with a task."""
        self._done(self.vm.PowerOffVM_Task())

    def swap_disk(self, disk: Any) -> None:
        """Replace a disk by an empty one in the same slot."""
        Change = vim.vm.device.VirtualDeviceSpec
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName="", diskMode="persistent", thinProvisioned=True
        )
        new = vim.vm.device.VirtualDisk(
            key=-1,
            controllerKey=disk.controllerKey,
            unitNumber=disk.unitNumber,
            capacityInBytes=disk.capacityInBytes,
            capacityInKB=disk.capacityInKB,
            backing=backing,
        )
        self.reconfigure(
            Change(operation="remove", device=disk),
            Change(operation="add", fileOperation="create", device=new),
        )

    def destroy(self) -> None:
        """Delete the VM with its disks."""
        self._done(self.vm.Destroy_Task())

    def rename(self, name: str) -> None:
        """Give the VM another name."""
        self._done(self.vm.Rename_Task(name))

    def device(self, key: int) -> Any:
        """A device of the VM by its key."""
        return next(d for d in self.vm.config.hardware.device if d.key == key)

    def scribble(self, seed: object, *, pieces: int = 2) -> None:
        """Do on every disk what a guest does: write here and there, and zeros over something."""
        for key in self.guest.disks:
            size = self.device(key).capacityInBytes
            source = random.Random(f"{seed}/{key}")
            writes: list[tuple[int, Any]] = []
            for _ in range(pieces):
                length = min(size, 512 * source.randrange(1, 192))
                writes.append((_place(source, size, length), source.randbytes(length)))
            length = min(size, BLOCK)
            writes.append((_place(source, size, length), length))
            writes.append((size - 512, source.randbytes(512)))
            self.guest.write_many(key, writes)

    def portrait(self) -> Portrait:
        """What a restore must bring back."""
        return Portrait.take(self.vm, self.guest)

    def _done(self, task: Any) -> Any:
        WaitForTask(task)
        return task.info.result


def _place(source: random.Random, size: int, length: int) -> int:
    return 512 * source.randrange(0, (size - length) // 512 + 1)


def find_snapshot(machine: Machine, name: str) -> Optional[Any]:
    """The first snapshot of that name."""
    pending = machine.roots
    while pending:
        node = pending.pop(0)
        if node.name == name:
            return node.snapshot
        pending = [*(node.childSnapshotList or []), *pending]
    return None
