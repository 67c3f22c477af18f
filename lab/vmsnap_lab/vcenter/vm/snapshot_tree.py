# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The tree of a VM's snapshots."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.vm import rendering


class Snapshot(Managed):
    """A snapshot. `frozen` is the configuration of its moment, on the heads of its disks."""

    TYPE = vim.vm.Snapshot

    def __init__(
        self,
        vm: ManagedEntity,
        *,
        number: int,
        name: str,
        description: str,
        created: datetime.datetime,
        state: str,
        quiesced: bool,
        frozen: Any,
        nvram: Optional[bytes],
        parent: Optional[Snapshot],
    ) -> None:
        super().__init__(vm.vcenter, vm.vcenter.snapshot_moid(vm.moid, number))
        self.vm = vm
        self.id = number
        self.name = name
        self.description = description
        self.created = created
        self.state = state
        self.quiesced = quiesced
        self.frozen = frozen
        self.nvram = nvram
        self.parent = parent
        self.childSnapshot: list[Snapshot] = []

    @property
    def config(self) -> Any:
        return rendering.rendered(self.vcenter, self.vm.moid, self.frozen)

    @property
    def depth(self) -> int:
        """1 for a root."""
        return 1 + (self.parent.depth if self.parent is not None else 0)

    def branch(self) -> Iterator[Snapshot]:
        """The snapshot and all below it."""
        yield self
        for child in self.childSnapshot:
            yield from child.branch()

    def describe(self) -> Any:
        return vim.vm.SnapshotTree(
            snapshot=self.ref,
            vm=self.vm.ref,
            name=self.name,
            description=self.description,
            id=self.id,
            createTime=self.created,
            state=self.state,
            quiesced=self.quiesced,
            replaySupported=False,
            childSnapshotList=[child.describe() for child in self.childSnapshot],
        )


class SnapshotTree:
    """Several roots are possible: the children of a root that was deleted."""

    def __init__(self) -> None:
        self.roots: list[Snapshot] = []
        self.current: Optional[Snapshot] = None
        self._last_number = 0

    @classmethod
    def continuing(cls, other: SnapshotTree) -> SnapshotTree:
        """An empty tree that numbers its snapshots on from another one."""
        tree = cls()
        tree._last_number = other._last_number
        return tree

    def all(self) -> list[Snapshot]:
        return [snapshot for root in self.roots for snapshot in root.branch()]

    def next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def add(self, snapshot: Snapshot) -> None:
        self._siblings(snapshot).append(snapshot)
        self.current = snapshot

    def remove(self, snapshot: Snapshot) -> None:
        """Take one snapshot out; its children take its place."""
        siblings = self._siblings(snapshot)
        place = siblings.index(snapshot)
        siblings[place : place + 1] = snapshot.childSnapshot
        for child in snapshot.childSnapshot:
            child.parent = snapshot.parent
        if self.current is snapshot:
            self.current = snapshot.parent

    def _siblings(self, snapshot: Snapshot) -> list[Snapshot]:
        return self.roots if snapshot.parent is None else snapshot.parent.childSnapshot

    def describe(self) -> Any:
        """What the VM's property `snapshot` shows; None without snapshots."""
        if not self.roots:
            return None
        return vim.vm.SnapshotInfo(
            currentSnapshot=self.current.ref if self.current is not None else None,
            rootSnapshotList=[root.describe() for root in self.roots],
        )
