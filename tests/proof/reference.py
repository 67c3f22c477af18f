# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the VM and its snapshots hold, kept in plain byte arrays beside the lab's own chains."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Optional

BLOCK = 65536


@dataclass
class Hardware:
    """The part of a configuration that a snapshot freezes and a restore must bring back."""

    cpus: int
    memory_mb: int
    nics: int
    disks: dict[int, bytearray] = field(default_factory=dict)  # device key: content

    def frozen(self) -> Hardware:
        return copy.deepcopy(self)


@dataclass
class Taken:
    """A user snapshot. `parent` is the key of another one."""

    name: str
    description: str
    parent: Optional[str]
    hardware: Hardware
    nvram: Optional[bytes] = None


@dataclass
class Machine:
    """A VM: its own state, its snapshots in the order they were taken, where it stands.

    nvram: that of the state; None where nobody knows which one it must be.
    """

    hardware: Hardware
    snapshots: dict[str, Taken] = field(default_factory=dict)
    current: Optional[str] = None
    nvram: Optional[bytes] = None

    def copy(self) -> Machine:
        return copy.deepcopy(self)

    def renamed(self, keys: dict[str, str]) -> Machine:
        """The same with other keys for the snapshots."""
        twin = self.copy()
        twin.snapshots = {keys[key]: taken for key, taken in twin.snapshots.items()}
        for taken in twin.snapshots.values():
            taken.parent = keys[taken.parent] if taken.parent else None
        twin.current = keys[twin.current] if twin.current else None
        return twin

    def children(self, key: Optional[str]) -> list[str]:
        return [name for name, taken in self.snapshots.items() if taken.parent == key]

    def take(self, key: str, name: str, description: str) -> None:
        frozen = self.hardware.frozen()
        self.snapshots[key] = Taken(name, description, self.current, frozen, self.nvram)
        self.current = key

    def revert(self, key: str) -> None:
        self.hardware = self.snapshots[key].hardware.frozen()
        self.nvram = self.snapshots[key].nvram
        self.current = key

    def remove(self, key: str, below: bool = False) -> None:
        if below:
            for child in self.children(key):
                self.remove(child, below=True)
        parent = self.snapshots[key].parent
        for child in self.children(key):
            self.snapshots[child].parent = parent
        del self.snapshots[key]
        if self.current == key:
            self.current = parent

    def remove_all(self) -> None:
        self.snapshots.clear()
        self.current = None

    def levels(self) -> int:
        def depth(key: Optional[str]) -> int:
            return 1 + max((depth(child) for child in self.children(key)), default=0)

        return depth(None) - 1


def changed_blocks(base: Optional[bytearray], content: bytearray) -> int:
    """How many bytes of whole 64 KiB blocks truly differ from the base (from zeros without one)."""
    changed = 0
    for at in range(0, len(content), BLOCK):
        block = content[at : at + BLOCK]
        under = base[at : at + BLOCK] if base is not None else bytes(len(block))
        if block != under.ljust(len(block), b"\0"):
            changed += len(block)
    return changed
