# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which disks there are, and which is on which, as read from their files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vmsnap_lab.storage import disk_record, qcow2
from vmsnap_lab.storage.disk_record import DiskRecord
from vmsnap_lab.storage.errors import StorageError
from vmsnap_lab.storage.paths import Datastores, datastore_of


@dataclass
class StoredDisk:
    """path and parent: canonical datastore paths. capacity: bytes."""

    path: str
    file: Path
    capacity: int
    parent: str | None
    record: DiskRecord


class DiskCatalog:
    """All disks of some datastores. Callers hold `lock` while other threads may change it."""

    def __init__(self, datastores: Datastores) -> None:
        self.datastores = datastores
        self.lock = threading.RLock()
        self._disks: dict[str, StoredDisk] = {}
        for name in datastores.names:
            self._load(datastores.folder(name))
        for disk in list(self._disks.values()):
            self._repair(disk)

    def __contains__(self, path: str) -> bool:
        try:
            self.find(path)
        except StorageError as error:
            if error.kind != "missing":
                raise
            return False
        return True

    def find(self, path: str) -> StoredDisk:
        """Raises StorageError "missing"."""
        disk = self._disks.get(self.datastores.canonical(path))
        if disk is None:
            raise StorageError("missing", f"there is no disk {path}")
        return disk

    def names(self, datastore: str) -> list[str]:
        self.datastores.folder(datastore)
        return sorted(path for path in self._disks if datastore_of(path) == datastore)

    def children(self, path: str) -> list[str]:
        return sorted(disk.path for disk in self._disks.values() if disk.parent == path)

    def chain(self, path: str) -> list[StoredDisk]:
        """A disk and all below it, down to the root."""
        chain = [self.find(path)]
        while (parent := chain[-1].parent) is not None:
            chain.append(self.find(parent))
        return chain

    def add(self, path: str, parent: str | None, new: DiskRecord) -> StoredDisk:
        """Take up a disk whose file is there."""
        path = self.datastores.canonical(path)
        file = self.datastores.host_path(path)
        disk = StoredDisk(path, file, qcow2.read_header(file).capacity, parent, new)
        self._disks[path] = disk
        return disk

    def update(self, disk: StoredDisk, new: DiskRecord) -> None:
        disk_record.write(disk.file, new)
        disk.record = new

    def remove(self, disk: StoredDisk) -> None:
        """Forget a disk and delete its files."""
        disk.file.unlink()
        disk_record.file_beside(disk.file).unlink(missing_ok=True)
        del self._disks[disk.path]

    def _load(self, folder: Path) -> None:
        for file in _files(folder):
            if disk_record.is_unfinished(file):
                file.unlink()
            elif file.suffix == ".vmdk" and qcow2.is_qcow2(file):
                backing = qcow2.read_header(file).backing
                parent = None
                if backing is not None:
                    parent_file = Path(os.path.normpath(file.parent / backing))
                    parent = self.datastores.name_of(parent_file)
                name = self.datastores.name_of(file)
                self.add(name, parent, disk_record.read(file) or DiskRecord())

    def _repair(self, disk: StoredDisk) -> None:
        """Undo a delta that was being made, or finish a merge, when the lab was killed.

        A delta counts from the moment its parent is frozen; a merged child is gone from the moment
        its parent takes its place.
        """
        children = [self._disks[child] for child in self.children(disk.path)]
        if children and not disk_record.file_beside(disk.file).exists():
            disk.record = DiskRecord(frozen=True)
        elif not disk.record.frozen:
            for child in children:
                self.remove(child)
        if disk.record.absorbing and disk.record.absorbing not in self._disks:
            self.update(disk, replace(disk.record, absorbing=None))


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)
