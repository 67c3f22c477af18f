# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What users, guests and administrators do with a VM, in the lab and in the reference alike."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Optional

from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.fd import daemon_identity
from bareos_vmsnap.vsphere import markers
from tests.proof import reference
from tests.proof.moments import Moments
from tests.proof.store import Store
from vmsnap_lab.lab import Lab

NAME = "proof"
CONTROLLER = 1000
# A multiple of 64 KiB, an odd number of sectors, one less than a block, a few blocks and a sector.
SIZES = (1 << 20, (1 << 20) + 512, 65536 - 512, 5 * 65536 + 1024)
MOST_SNAPSHOTS = 10


class Users:
    """Every method that changes something changes the lab and the reference alike.

    Actions that vSphere would refuse in the state at hand do nothing: a random history may ask for
    anything. Choices are given as numbers and taken modulo what there is.

    machine: the reference, in plain memory. store: what the lab holds. moments: what it held when
    a job took its snapshot.
    """

    def __init__(self, lab: Lab, disks: int, sizes: int) -> None:
        self.lab = lab
        self.store = Store(lab)
        self.moments = Moments(self.store)
        self._taken = 0
        capacities = [SIZES[(sizes + n) % len(SIZES)] for n in range(disks)]
        guest = lab.create_vm(NAME, disks=capacities, network="VM Network")
        self.stub: Any = lab.connect()._stub
        self.moref = guest.moref
        hardware = reference.Hardware(1, 256, 1)
        for key, capacity in zip(guest.disks, capacities):
            hardware.disks[key] = bytearray(capacity)
        self.machine = reference.Machine(hardware, nvram=guest.nvram())

    @property
    def vm(self) -> Any:
        return vim.VirtualMachine(self.moref, self.stub)

    @property
    def on_a_host(self) -> bool:
        """Whether there is no vCenter."""
        return self.lab.user == "root"

    def write(self, disk: int, at: float, size: int, seed: int) -> None:
        """The guest writes: a seed of 0 writes zeros. `at` is a fraction of the disk."""
        keys = sorted(self.machine.hardware.disks)
        if not keys:
            return
        key = keys[disk % len(keys)]
        content = self.machine.hardware.disks[key]
        start = int(at * (len(content) - 1))
        size = min(size, len(content) - start)
        data = bytes(size) if seed == 0 else random.Random(seed).randbytes(size)
        content[start : start + size] = data
        guest = self.lab.guest(self.moref)
        if seed == 0:
            guest.write_zeros(key, start, size)
        else:
            guest.write(key, start, data)

    def snapshot(self, name: str = "s") -> None:
        if len(self.machine.snapshots) >= MOST_SNAPSHOTS:
            return
        self._taken += 1
        description = f"number {self._taken}"
        task = self.vm.CreateSnapshot_Task(name, description, False, False)
        WaitForTask(task)
        self.machine.take(task.info.result._moId, name, description)

    def revert(self, which: int) -> None:
        key = self._pick(which)
        if key is not None:
            WaitForTask(self._snapshot(key).RevertToSnapshot_Task(suppressPowerOn=True))
            self.machine.revert(key)

    def remove(self, which: int, below: bool = False) -> None:
        key = self._pick(which)
        if key is not None:
            WaitForTask(self._snapshot(key).RemoveSnapshot_Task(below))
            self.machine.remove(key, below)

    def remove_all(self) -> None:
        WaitForTask(self.vm.RemoveAllSnapshots_Task())
        self.machine.remove_all()

    def rename(self, which: int, name: str) -> None:
        key = self._pick(which)
        if key is not None:
            self._snapshot(key).RenameSnapshot(name, "renamed")
            taken = self.machine.snapshots[key]
            taken.name, taken.description = name, "renamed"

    def reconfigure(self, cpus: int, memory_mb: int) -> None:
        self._reconfigure(vim.vm.ConfigSpec(numCPUs=cpus, memoryMB=memory_mb))
        self.machine.hardware.cpus, self.machine.hardware.memory_mb = cpus, memory_mb

    def write_nvram(self, seed: int) -> None:
        """The firmware's settings, of any length."""
        content = random.Random(seed).randbytes(1 + 700 * seed)
        self.lab.guest(self.moref).write_nvram(content)
        self.machine.nvram = content

    def add_nic(self) -> None:
        if self.machine.hardware.nics >= 3:
            return
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
        card = vim.vm.device.VirtualE1000(key=-1, backing=backing, addressType="generated")
        self._change("add", card)
        self.machine.hardware.nics += 1

    def add_disk(self, size: int) -> None:
        """At the lowest free place: often the key of a disk removed before, with another file."""
        used = {d.unitNumber for d in self._devices(vim.vm.device.VirtualDisk)}
        unit = next(n for n in range(16) if n not in used and n != 7)
        if len(used) >= 4:
            return
        capacity = SIZES[size % len(SIZES)]
        disk = vim.vm.device.VirtualDisk(
            key=-1,
            controllerKey=CONTROLLER,
            unitNumber=unit,
            capacityInBytes=capacity,
            capacityInKB=capacity // 1024,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                fileName="", diskMode="persistent", thinProvisioned=True
            ),
        )
        before = {d.key for d in self._devices(vim.vm.device.VirtualDisk)}
        self._change("add", disk, "create")
        (key,) = {d.key for d in self._devices(vim.vm.device.VirtualDisk)} - before
        self.machine.hardware.disks[key] = bytearray(capacity)

    def remove_disk(self, which: int) -> None:
        disks = self._devices(vim.vm.device.VirtualDisk)
        if len(disks) < 2:
            return
        disk = disks[which % len(disks)]
        self._change("remove", disk)
        del self.machine.hardware.disks[disk.key]

    def grow_disk(self, which: int) -> None:
        """vSphere grows no disk under snapshots, a dead job's included."""
        disks = self._devices(vim.vm.device.VirtualDisk)
        if not disks or self.walk(self.vm):
            return
        disk = disks[which % len(disks)]
        size = disk.capacityInBytes + 3 * 65536 + 512
        disk.capacityInBytes, disk.capacityInKB = size, size // 1024
        self._change("edit", disk)
        content = self.machine.hardware.disks[disk.key]
        content.extend(bytes(size - len(content)))

    def reset_cbt(self) -> None:
        for on in (False, True):
            self._reconfigure(vim.vm.ConfigSpec(changeTrackingEnabled=on))

    def switch_cbt(self, on: bool) -> None:
        self._reconfigure(vim.vm.ConfigSpec(changeTrackingEnabled=on))

    def migrate(self) -> None:
        if self.on_a_host:
            return
        here = self.vm.config.files.vmPathName.split("]")[0].lstrip("[")
        there = "datastore2" if here == "datastore1" else "datastore1"
        store = next(s for s in self.vm.runtime.host.datastore if s.name == there)
        WaitForTask(self.vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store)))

    def register_anew(self) -> None:
        """The VM and its snapshots get new managed object ids."""
        vm = self.vm
        path, folder, pool = vm.config.files.vmPathName, vm.parent, vm.resourcePool
        before = [key for key, _ in self.walk(vm)]
        vm.UnregisterVM()
        task = folder.RegisterVM_Task(path, None, False, pool)
        WaitForTask(task)
        self.moref = task.info.result._moId
        new = dict(zip(before, (key for key, _ in self.walk(self.vm))))
        self.machine = self.machine.renamed(new)
        for marked in (self.moments.left, self.moments.dead):
            marked |= {new[key] for key in before if key in marked}

    def consolidate(self) -> None:
        WaitForTask(self.vm.ConsolidateVMDisks_Task())

    def purge_events(self) -> None:
        self.lab.vcenter.events.forget()

    def lose_events(self) -> None:
        self.lab.vcenter.events.lose()

    def leave_a_snapshot(self, host: str, working: Path) -> None:
        """A job of that file daemon died and left its backup snapshot; users go on above it."""
        description = markers.backup_description(daemon_identity.find(host, working))
        name = markers.backup_name(f"{NAME}0.2026-01-01_00.00.00_01")
        if not any(item.name == name for _, item in self.walk(self.vm)):
            task = self.vm.CreateSnapshot_Task(name, description, False, False)
            WaitForTask(task)
            self.moments.left.add(task.info.result._moId)
            self.moments.dead.add(task.info.result._moId)

    def look(self) -> None:
        """Learn from the store what others have done to the VM meanwhile."""
        self.machine = self.store.tree(self.moref, self.moments.is_left)

    def _pick(self, which: int) -> Optional[str]:
        keys = list(self.machine.snapshots)
        return keys[which % len(keys)] if keys else None

    def _snapshot(self, key: str) -> Any:
        return vim.vm.Snapshot(key, self.stub)

    def walk(self, vm: Any) -> list[tuple[str, Any]]:
        info = vm.snapshot
        pending = list(info.rootSnapshotList) if info else []
        found = []
        while pending:
            item = pending.pop(0)
            found.append((item.snapshot._moId, item))
            pending += item.childSnapshotList or []
        return found

    def _devices(self, kind: Any) -> list[Any]:
        found = [d for d in self.vm.config.hardware.device if isinstance(d, kind)]
        return sorted(found, key=lambda device: device.key)

    def _change(self, operation: str, device: Any, file: Optional[str] = None) -> None:
        change = vim.vm.device.VirtualDeviceSpec(
            operation=operation, device=device, fileOperation=file
        )
        self._reconfigure(vim.vm.ConfigSpec(deviceChange=[change]))

    def _reconfigure(self, spec: Any) -> None:
        WaitForTask(self.vm.ReconfigVM_Task(spec))
