# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What an operation may do with disks, and which disks it uses for that.

The caller holds the catalog's lock. What is not allowed raises StorageError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmsnap_lab.storage.claims import Use
from vmsnap_lab.storage.disk_catalog import DiskCatalog, StoredDisk
from vmsnap_lab.storage.errors import StorageError

SECTOR = 512
MAX_CAPACITY = 62 << 40
"""VMware's largest virtual disk, in bytes."""


class Rules:
    """The rules for the disks of a catalog."""

    def __init__(self, catalog: DiskCatalog) -> None:
        self._catalog = catalog

    def new_name(self, path: str) -> str:
        """The canonical form of a path that is not in use."""
        name = self._catalog.datastores.canonical(path)
        if name in self._catalog or self._catalog.datastores.host_path(name).exists():
            raise StorageError("exists", f"{name} exists")
        return name

    def reading(self, path: str) -> Use:
        chain = self._catalog.chain(path)
        _check_whole(chain[0])
        return Use.of(shared=(disk.path for disk in chain))

    def writing(self, path: str) -> Use:
        disk, *lowest = self._catalog.chain(path)
        if disk.record.frozen:
            raise StorageError("locked", f"{disk.path} belongs to a snapshot and is frozen")
        return Use.of((below.path for below in lowest), [disk.path])

    def writing_behind(self, path: str) -> Use:
        """Writing to any disk, as somebody does whom no vCenter asks."""
        disk, *lowest = self._catalog.chain(path)
        return Use.of((below.path for below in lowest), [disk.path])

    def photographing(self, paths: Iterable[str]) -> Use:
        return Use.of(shared=(self._catalog.find(path).path for path in paths))

    def rolling_back(self, paths: Iterable[str]) -> Use:
        """Replacing what there is of these disks. Raises "has-children" if others build on them."""
        there = [self._catalog.find(path).path for path in paths if path in self._catalog]
        others = {child for path in there for child in self._catalog.children(path)}
        if not others <= set(there):
            raise StorageError("has-children", "other disks build on those to be rolled back")
        return Use.of(exclusive=there)

    def creating(self, path: str) -> Use:
        return Use.of(exclusive=[self.new_name(path)])

    def deriving(self, parent: str, path: str) -> Use:
        """Making a delta; its parent changes only when it is frozen by that."""
        disk = self._catalog.find(parent)
        use = self.reading(parent) if disk.record.frozen else self.writing(parent)
        return Use(use.shared, use.exclusive | {self.new_name(path)})

    def copying(self, path: str, new_path: str) -> Use:
        return Use(self.reading(path).shared, frozenset([self.new_name(new_path)]))

    def deleting(self, path: str) -> Use:
        return Use.of(exclusive=[self._childless(path).path])

    def merging(self, path: str) -> Use:
        disk, parent = self.merge_pair(path)
        children = self._catalog.children(disk.path)
        lowest = (below.path for below in self._catalog.chain(parent.path)[1:])
        return Use.of(lowest, [disk.path, parent.path, *children])

    def merge_pair(self, path: str) -> tuple[StoredDisk, StoredDisk]:
        """A delta and its parent."""
        disk = self._catalog.find(path)
        if disk.parent is None:
            raise StorageError("bad-request", f"{disk.path} has no parent to be merged into")
        parent = self._catalog.find(disk.parent)
        others = set(self._catalog.children(parent.path)) - {disk.path}
        if others and parent.record.absorbing != disk.path:
            raise StorageError("has-children", f"other disks build on {parent.path}")
        return disk, parent

    def growing(self, path: str, capacity: int) -> Use:
        disk = self._childless(path)
        if disk.parent is not None:
            raise StorageError("bad-request", f"{disk.path} is a delta and cannot grow")
        if capacity < disk.capacity:
            raise StorageError("bad-request", f"{disk.path} cannot shrink to {capacity} bytes")
        check_capacity(capacity)
        return self.writing(path)

    def moving(self, moves: Mapping[str, str]) -> Use:
        disks = [disk for path in moves for disk in self._catalog.chain(path)]
        for disk in disks:
            _check_whole(disk)
        read = frozenset(disk.path for disk in disks)
        children = (child for path in moves for child in self._catalog.children(path))
        changed = frozenset([*moves, *moves.values(), *children])
        return Use(read - changed, changed)

    def _childless(self, path: str) -> StoredDisk:
        disk = self._catalog.find(path)
        if self._catalog.children(disk.path):
            raise StorageError("has-children", f"other disks build on {disk.path}")
        return disk


def check_capacity(capacity: int) -> None:
    if not 0 < capacity <= MAX_CAPACITY or capacity % SECTOR:
        raise StorageError("bad-request", f"a disk cannot have {capacity} bytes")


def check_range(disk: StoredDisk, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > disk.capacity:
        raise StorageError("bad-offset", f"{disk.path} has no byte range {offset}+{length}")


def _check_whole(disk: StoredDisk) -> None:
    if disk.record.absorbing:
        raise StorageError("corrupt", f"a merge into {disk.path} was not finished")
