# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The demo's VM: two disks, one with a real file system, and the snapshots its users take."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab.demo.filesystem import FileSystem
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

MIB = 1 << 20
NAME = "web1"
SYSTEM_SIZE = 64 * MIB
DATA_SIZE = 48 * MIB + 512  # no multiple of 64 KiB: the last block is a short one


@dataclass(frozen=True)
class PlannedSnapshot:
    """A snapshot to take: `parent` is the snapshot the VM stands at when it is taken."""

    key: str
    parent: Optional[str]
    name: str
    description: str
    cpus: int
    memory_mb: int


SNAPSHOTS = (
    PlannedSnapshot("installed", None, "Installed", "Fresh from the installer", 1, 512),
    PlannedSnapshot("upgrade", "installed", "Before upgrade", "Known to work", 2, 1024),
    PlannedSnapshot("test", "upgrade", "升级/测试", "Fork: the test branch\nsecond line", 2, 2048),
    PlannedSnapshot("again", "upgrade", "Before upgrade", "The same name once more", 4, 1024),
    PlannedSnapshot("nightly", "again", "Nightly", "", 4, 1536),
    PlannedSnapshot("experiment", "installed", "Experiment", "A branch of its own", 1, 768),
)
CURRENT = "nightly"


class Scenario:
    """Builds the VM and its tree; every change goes the way a user's or a guest's would."""

    def __init__(self, lab: Lab, work: Path, seed: int = 1) -> None:
        self._lab = lab
        self._work = work
        self._random = random.Random(seed)
        self._guest: Guest = lab.create_vm(
            NAME, disks=[SYSTEM_SIZE, DATA_SIZE], cpus=1, memory_mb=512, powered_on=False
        )
        self._system, self._data = self._guest.disks
        self._snapshots: dict[str, Any] = {}
        self._images: dict[str, FileSystem] = {}
        files = {f"etc/{n}.conf": self._text(20_000) for n in range(40)}
        files["var/www/index.html"] = b"<h1>web1</h1>\n"
        image = FileSystem.make(work / "start.img", SYSTEM_SIZE, files)
        self._guest.write_many(self._system, image.changes_since(None))
        self._guest.write_many(
            self._data, [(0, self._noise(8 * MIB)), (20 * MIB, self._noise(MIB))]
        )
        self._at, self._image = "", image

    def take(self, planned: PlannedSnapshot, connection: Any) -> None:
        """Work in the guest, change the VM's hardware, take the snapshot."""
        vm = vim.VirtualMachine(self._guest.moref, connection._stub)
        if planned.parent and planned.parent != self._at:
            WaitForTask(self._snapshots[planned.parent].RevertToSnapshot_Task())
            self._image = self._images[planned.parent].copy(self._work / f"{planned.key}.img")
        spec = vim.vm.ConfigSpec(numCPUs=planned.cpus, memoryMB=planned.memory_mb)
        WaitForTask(vm.ReconfigVM_Task(spec))
        self._work_in_guest(planned.key)
        task = vm.CreateSnapshot_Task(planned.name, planned.description, False, False)
        WaitForTask(task)
        self._snapshots[planned.key] = task.info.result
        self._at, self._images[planned.key] = planned.key, self._image

    def settle(self, connection: Any) -> None:
        """Leave the VM where its users work now: above CURRENT, with changes of its own."""
        if self._at != CURRENT:
            WaitForTask(self._snapshots[CURRENT].RevertToSnapshot_Task())
            self._image = self._images[CURRENT]
        vm = vim.VirtualMachine(self._guest.moref, connection._stub)
        WaitForTask(vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=3, memoryMB=2048)))
        self._work_in_guest("now")

    def _work_in_guest(self, key: str) -> None:
        before = self._image.image
        after = self._image.copy(self._work / f"{key}-after.img")
        after.change({f"{key}.log": self._text(300_000), "last": key.encode()}, self._leaving())
        self._guest.write_many(self._system, after.changes_since(before))
        self._image = after
        at = self._random.randrange(0, 40) * MIB + 512 * self._random.randrange(128)
        self._guest.write_many(self._data, [(at, self._noise(2 * MIB + 512))])
        # Zeros over data, and the very last sector.
        self._guest.write_zeros(self._data, self._random.randrange(0, 8) * MIB, 256 * 1024)
        self._guest.write(self._data, DATA_SIZE - 512, self._noise(512))

    def _leaving(self) -> list[str]:
        return ["last"] if self._at else []

    def _text(self, size: int) -> bytes:
        words = [b"disk", b"snapshot", b"tree", b"branch", b"restore", b"block", b"\n"]
        return b" ".join(self._random.choices(words, k=size // 6))[:size]

    def _noise(self, size: int) -> bytes:
        return self._random.randbytes(size)
