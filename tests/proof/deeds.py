# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What somebody else does to a VM between two calls of a job.

A deed returns whether there was something to do. It raises vmodl.MethodFault and StorageError where
vSphere refuses it, maybe after a part of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

Disk = vim.vm.device.VirtualDisk


@dataclass
class Hands:
    """Somebody who has access to one VM. which: his choice, modulo what there is."""

    lab: Lab
    stub: Any
    moref: str
    which: int

    @property
    def vm(self) -> Any:
        return vim.VirtualMachine(self.moref, self.stub)

    @property
    def guest(self) -> Guest:
        return self.lab.guest(self.moref)

    def snapshots(self, *, of_jobs: bool = False) -> list[Any]:
        """Users' snapshots, or those of backup jobs."""
        info = self.vm.snapshot
        pending = list(info.rootSnapshotList) if info else []
        found = []
        while pending:
            item = pending.pop(0)
            if item.name.startswith("vmsnap backup ") is of_jobs:
                found.append(item.snapshot)
            pending += item.childSnapshotList or []
        return found

    def pick(self, *, of_jobs: bool = False) -> Any:
        found = self.snapshots(of_jobs=of_jobs)
        return found[self.which % len(found)] if found else None

    def disks(self) -> list[Any]:
        return [d for d in self.vm.config.hardware.device if isinstance(d, Disk)]

    def reconfigure(self, *changes: tuple[str, Any, Any], **values: Any) -> None:
        """Each change is an operation, a device and what becomes of its file."""
        specs = [
            vim.vm.device.VirtualDeviceSpec(operation=what, device=device, fileOperation=file)
            for what, device, file in changes
        ]
        WaitForTask(self.vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=specs, **values)))


Deed = Callable[[Hands], bool]


def write(hands: Hands) -> bool:
    """Random bytes, in a place and of a length that are random as well."""
    guest, source = hands.guest, random.Random(f"{hands.which}/{hands.lab.vcenter.now()}")
    for key in guest.disks:
        size = hands.lab.store.capacity(guest.path(key))
        length = min(size, 512 * source.randrange(1, 300))
        at = 512 * source.randrange(0, (size - length) // 512 + 1)
        guest.write(key, at, source.randbytes(length))
    return True


def run(hands: Hands) -> bool:
    """The VM runs for a while, and its guest writes."""
    WaitForTask(hands.vm.PowerOnVM_Task())
    write(hands)
    WaitForTask(hands.vm.PowerOffVM_Task())
    return True


def power_on(hands: Hands) -> bool:
    WaitForTask(hands.vm.PowerOnVM_Task())
    return True


def power_on_and_off(hands: Hands) -> bool:
    power_on(hands)
    WaitForTask(hands.vm.PowerOffVM_Task())
    return True


def snapshot(hands: Hands) -> bool:
    WaitForTask(hands.vm.CreateSnapshot_Task("somebody's", f"by {hands.which}", False, False))
    return True


def write_snapshot_write(hands: Hands) -> bool:
    return write(hands) and snapshot(hands) and write(hands)


def snapshot_and_delete(hands: Hands) -> bool:
    """Another backup product."""
    task = hands.vm.CreateSnapshot_Task("somebody's", "", False, False)
    WaitForTask(task)
    WaitForTask(task.info.result.RemoveSnapshot_Task(removeChildren=False))
    return True


def delete_one(hands: Hands) -> bool:
    found = hands.pick()
    if found is not None:
        WaitForTask(found.RemoveSnapshot_Task(removeChildren=False))
    return found is not None


def delete_branch(hands: Hands) -> bool:
    found = hands.pick()
    if found is not None:
        WaitForTask(found.RemoveSnapshot_Task(removeChildren=True))
    return found is not None


def delete_all(hands: Hands) -> bool:
    if not hands.vm.snapshot:
        return False
    WaitForTask(hands.vm.RemoveAllSnapshots_Task())
    return True


def delete_the_jobs(hands: Hands) -> bool:
    found = hands.pick(of_jobs=True)
    if found is not None:
        WaitForTask(found.RemoveSnapshot_Task(removeChildren=False))
    return found is not None


def rename_one(hands: Hands) -> bool:
    found = hands.pick()
    if found is not None:
        found.RenameSnapshot(f"renamed {hands.which}", "by somebody")
    return found is not None


def rename_the_jobs(hands: Hands) -> bool:
    found = hands.pick(of_jobs=True)
    if found is not None:
        found.RenameSnapshot("mine", "by somebody")
    return found is not None


def revert(hands: Hands) -> bool:
    found = hands.pick()
    if found is not None:
        WaitForTask(found.RevertToSnapshot_Task(suppressPowerOn=True))
    return found is not None


def revert_twice(hands: Hands) -> bool:
    """The leaf has its old file name again afterwards."""
    return revert(hands) and revert(hands)


def revert_and_run(hands: Hands) -> bool:
    return revert(hands) and run(hands)


def revert_and_snapshot(hands: Hands) -> bool:
    return revert_and_run(hands) and snapshot(hands) and run(hands)


def revert_to_the_jobs(hands: Hands) -> bool:
    found = hands.pick(of_jobs=True)
    if found is not None:
        WaitForTask(found.RevertToSnapshot_Task(suppressPowerOn=True))
    return found is not None and run(hands)


def cbt_off_and_on(hands: Hands) -> bool:
    hands.reconfigure(changeTrackingEnabled=False)
    run(hands)
    hands.reconfigure(changeTrackingEnabled=True)
    return True


def take_a_disk_out(hands: Hands) -> bool:
    disks = hands.disks()
    if disks:
        hands.reconfigure(("remove", disks[hands.which % len(disks)], None))
    return bool(disks)


def another_disk(hands: Hands) -> bool:
    """Take a disk out and put an empty one of its size in its place."""
    disks = hands.disks()
    if not disks:
        return False
    old = disks[hands.which % len(disks)]
    backing = Disk.FlatVer2BackingInfo(fileName="", diskMode="persistent", thinProvisioned=True)
    new = Disk(
        key=-1,
        controllerKey=old.controllerKey,
        unitNumber=old.unitNumber,
        capacityInBytes=old.capacityInBytes,
        capacityInKB=old.capacityInKB,
        backing=backing,
    )
    hands.reconfigure(("remove", old, None), ("add", new, "create"))
    return True


def write_nvram(hands: Hands) -> bool:
    """The guest's firmware does."""
    hands.guest.write_nvram(f"boot entry {hands.which} {hands.lab.vcenter.now()}".encode())
    return True


def reconfigure(hands: Hands) -> bool:
    hands.reconfigure(numCPUs=1 + hands.which % 4)
    return True


def consolidate(hands: Hands) -> bool:
    WaitForTask(hands.vm.ConsolidateVMDisks_Task())
    return True


def lose_events(hands: Hands) -> bool:
    hands.lab.vcenter.events.lose()
    return True


# By either job.
_ANY: dict[str, Deed] = {
    "snapshot": snapshot,
    "snapshot and delete": snapshot_and_delete,
    "delete one": delete_one,
    "delete a branch": delete_branch,
    "delete all": delete_all,
    "revert": revert,
    "revert and run": revert_and_run,
    "revert twice": revert_twice,
    "revert and snapshot": revert_and_snapshot,
    "rename one": rename_one,
    "run": run,
    "cbt off and on": cbt_off_and_on,
    "power on": power_on,
    "power on and off": power_on_and_off,
    "take a disk out": take_a_disk_out,
    "another disk": another_disk,
    "reconfigure": reconfigure,
    "consolidate": consolidate,
}
DURING_RESTORES = _ANY
DURING_BACKUPS: dict[str, Deed] = {
    **_ANY,
    "write": write,
    "write the NVRAM": write_nvram,
    "write, snapshot, write": write_snapshot_write,
    "delete the job's": delete_the_jobs,
    "rename the job's": rename_the_jobs,
    "revert to the job's": revert_to_the_jobs,
    "lose events": lose_events,
}
