# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What happens inside a VM, behind the API's back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

from vmsnap_lab.vcenter.vm import buses, file_paths, power
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine

USER = ""  # events of what a guest does itself have no user


class Guest:
    """The disks of a VM as its guest sees them, and its power button.

    Disks are named by the keys of their devices, snapshots by their ids ("snapshot-12") or
    names; offsets and lengths are bytes. Raises KeyError for what the VM does not have, and
    what the storage raises.
    """

    def __init__(self, vm: VirtualMachine) -> None:
        self.vm = vm

    @property
    def moref(self) -> str:
        return self.vm.moid

    @property
    def disks(self) -> list[int]:
        return [disk.key for disk in buses.disks(self.vm.live.hardware.device)]

    def path(self, key: int, snapshot: Optional[str] = None) -> str:
        """The datastore path of the current leaf, or of a disk as a snapshot froze it."""
        config = self.vm.live if snapshot is None else self._snapshot(snapshot).frozen
        for disk in buses.disks(config.hardware.device):
            if disk.key == key:
                return self.vm.vcenter.disk_path(disk.backing.fileName)
        raise KeyError(key)

    def write(self, key: int, offset: int, data: bytes) -> None:
        self.vm.vcenter.store.write(self.path(key), offset, data)

    def write_zeros(self, key: int, offset: int, length: int) -> None:
        self.vm.vcenter.store.write_zeros(self.path(key), offset, length)

    def write_many(self, key: int, writes: Sequence[tuple[int, Union[bytes, int]]]) -> None:
        """Several writes in one session; a number stands for that many bytes of zeros."""
        self.vm.vcenter.store.write_many(self.path(key), writes)

    def read(self, key: int, offset: int, length: int, snapshot: Optional[str] = None) -> bytes:
        return self.vm.vcenter.store.read(self.path(key, snapshot), offset, length)

    def sha256(self, key: int, snapshot: Optional[str] = None) -> str:
        """Of the whole content, in hexadecimal digits."""
        return self.vm.vcenter.store.sha256(self.path(key, snapshot))

    def nvram(self) -> bytes:
        return self.vm.vcenter.files.read(file_paths.nvram_path(self.vm.live))

    def write_nvram(self, content: bytes) -> None:
        self.vm.vcenter.files.write(file_paths.nvram_path(self.vm.live), content)

    def power_on(self) -> None:
        power.power_on(self.vm, user=USER)

    def power_off(self) -> None:
        power.power_off(self.vm, user=USER)

    def write_behind(
        self, key: int, writes: Sequence[tuple[int, Union[bytes, int]]], snapshot: str = ""
    ) -> None:
        """What a tool on the host, or a proxy with the disk attached, writes: CBT misses it.

        With `snapshot` it writes into the disk as that snapshot froze it.
        """
        self.vm.vcenter.store.write_behind(self.path(key, snapshot or None), writes)

    def crash(self) -> None:
        """The host's power fails: off at once. See CbtHabits.crash and Habits.crash_leaves."""
        power.crash(self.vm)
        for key in self.disks:
            self.vm.vcenter.store.crash(self.path(key))

    def _snapshot(self, moid_or_name: str) -> Snapshot:
        for snapshot in self.vm.tree.all():
            if moid_or_name in (snapshot.moid, snapshot.name):
                return snapshot
        raise KeyError(moid_or_name)
