# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Making, merging, moving and deleting disk files. The caller has claimed the disks.

Each step leaves files that make sense to a store that is opened after a kill (see DiskCatalog).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from vmsnap_lab.storage import disk_record, qcow2
from vmsnap_lab.storage.cbt_epochs import BLOCK
from vmsnap_lab.storage.cbt_tracking import BITMAP, Tracking
from vmsnap_lab.storage.disk_catalog import DiskCatalog, StoredDisk
from vmsnap_lab.storage.disk_record import DiskRecord
from vmsnap_lab.storage.qemu_img import QemuImg
from vmsnap_lab.storage.templates import Templates


class Move(NamedTuple):
    """parent: where the disk finds its parent after the move, or None."""

    path: str
    new_path: str
    parent: str | None


class Photograph(NamedTuple):
    """A disk at a moment: what its file held is in `copy`."""

    path: str
    parent: str | None
    record: DiskRecord
    copy: Path


class Lifecycle:
    """The changes to the files of a catalog that their life consists of."""

    def __init__(
        self, catalog: DiskCatalog, tracking: Tracking, templates: Templates, qemu_img: QemuImg
    ) -> None:
        self._catalog = catalog
        self._tracking = tracking
        self._templates = templates
        self._qemu_img = qemu_img
        self._journal = catalog.datastores.root / ".move.json"

    def create(self, path: str, capacity: int, thin: bool) -> None:
        with self._new(path, None, DiskRecord()) as file:
            self._qemu_img.create(file, capacity, thin)

    def create_delta(self, parent: StoredDisk, path: str, reverted: bool) -> None:
        reverted = reverted or parent.record.frozen
        track = self._tracking.track_of_delta(parent, reverted)
        bitmap = BITMAP if track else None
        with self._new(path, parent.path, DiskRecord(track=track)) as file:
            backing = _relative(parent.file, file)
            self._templates.copy(file, parent.capacity, backing, bitmap, BLOCK)
        self._tracking.freeze(parent)  # from here on the delta counts

    def copy(self, disk: StoredDisk, path: str) -> None:
        with self._new(path, None, DiskRecord()) as file:
            self._qemu_img.convert(disk.file, file)

    def merge(self, disk: StoredDisk, parent: StoredDisk, *, locking: bool = True) -> None:
        """Merge a disk into its parent; after a failure or a kill it can be tried again.

        Without `locking` it does not matter who has them open.
        """
        with self._catalog.lock:
            self._catalog.update(parent, replace(parent.record, absorbing=disk.path))
        self._qemu_img.commit(disk.file, parent.file, locking=locking)
        track = self._tracking.take_over(parent, disk, locking=locking)
        with self._catalog.lock:
            # From here on the parent stands for the disk.
            merged = replace(parent.record, frozen=disk.record.frozen, track=track)
            self._catalog.update(parent, merged)
            for path in self._catalog.children(disk.path):
                child = self._catalog.find(path)
                qcow2.set_backing(child.file, _relative(parent.file, child.file))
                child.parent = parent.path
            self._catalog.remove(disk)
            self._catalog.update(parent, replace(merged, absorbing=None))

    def photograph(self, disks: Sequence[StoredDisk], folder: Path) -> list[Photograph]:
        """Copy the files of disks as they are."""
        folder.mkdir(parents=True)
        found = []
        for number, disk in enumerate(disks):
            shutil.copyfile(disk.file, folder / str(number))
            record = replace(disk.record)
            found.append(Photograph(disk.path, disk.parent, record, folder / str(number)))
        return found

    def roll_back(self, doomed: Sequence[StoredDisk], photographs: Sequence[Photograph]) -> None:
        """Put disks as they were in the place of others. Not safe from a kill."""
        with self._catalog.lock:
            for disk in doomed:
                self._catalog.remove(disk)
            for each in photographs:
                file = self._place(each.path)
                shutil.copyfile(each.copy, file)
                disk_record.write(file, each.record)
                self._catalog.add(each.path, each.parent, each.record)

    def delete(self, disk: StoredDisk) -> None:
        with self._catalog.lock:
            self._catalog.remove(disk)

    def grow(self, disk: StoredDisk, capacity: int) -> None:
        self._qemu_img.resize(disk.file, capacity)
        disk.capacity = capacity

    def move(self, moves: Mapping[str, str]) -> None:
        """Rename disks, and have them and their children find their parents."""
        with self._catalog.lock:
            disks = [self._catalog.find(path) for path in moves]
            # Children first, so that each disk left at any moment has its parents.
            disks.sort(key=lambda disk: len(self._catalog.chain(disk.path)), reverse=True)
            steps = [
                Move(disk.path, moves[disk.path], moves.get(disk.parent or "", disk.parent))
                for disk in disks
            ]
            journal = disk_record.unfinished(self._journal)
            journal.write_text(json.dumps(steps))
            journal.rename(self._journal)
            self._carry_out(steps)

    def finish_move(self) -> None:
        """Complete a move that was interrupted."""
        if self._journal.exists():
            with self._catalog.lock:
                self._carry_out([Move(*step) for step in json.loads(self._journal.read_text())])

    def _carry_out(self, steps: Sequence[Move]) -> None:
        left = [step for step in steps if step.path in self._catalog]
        for step in left:
            disk = self._catalog.find(step.path)
            if not self._catalog.datastores.host_path(step.new_path).exists():
                os.link(disk.file, self._place(step.new_path))
            disk_record.write(self._catalog.datastores.host_path(step.new_path), disk.record)
        for step in left:
            disk = self._catalog.find(step.path)
            self._point(self._catalog.add(step.new_path, step.parent, disk.record))
            for path in self._catalog.children(step.path):
                child = self._catalog.find(path)
                child.parent = step.new_path
                if not any(path == other.path for other in steps):
                    self._point(child)
        for step in left:
            self._catalog.remove(self._catalog.find(step.path))
        self._journal.unlink()

    def _place(self, path: str) -> Path:
        file = self._catalog.datastores.host_path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    @contextmanager
    def _new(self, path: str, parent: str | None, new: DiskRecord) -> Iterator[Path]:
        """A file to make a disk in, which gets its name and its entry when it is done."""
        file = self._place(path)
        unfinished = disk_record.unfinished(file)
        try:
            yield unfinished
            disk_record.write(file, new)
            with self._catalog.lock:
                unfinished.rename(file)
                self._catalog.add(path, parent, new)
        finally:
            unfinished.unlink(missing_ok=True)

    def _point(self, disk: StoredDisk) -> None:
        """Have a file name its parent as seen from where the file is."""
        if disk.parent is not None:
            backing = _relative(self._catalog.datastores.host_path(disk.parent), disk.file)
            if qcow2.read_header(disk.file).backing != backing:
                qcow2.set_backing(disk.file, backing)


def _relative(parent: Path, child: Path) -> str:
    # A leading "./" keeps qemu from taking "vm:" in a name for a protocol.
    return f"./{os.path.relpath(parent, child.parent)}"
