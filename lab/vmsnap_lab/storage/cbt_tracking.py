# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking over chains: starting it, ending epochs, and what has changed since.

While a disk is the leaf, qemu itself notes in a dirty bitmap of the file what the guest or a client
of a door writes; that bitmap is the epoch that runs now. When a delta is made on the disk, the
bitmap's blocks go into the disk's track.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vmsnap_lab.storage import cbt_epochs, qcow2
from vmsnap_lab.storage.blockruns import join
from vmsnap_lab.storage.cbt_epochs import BLOCK, Runs, Track
from vmsnap_lab.storage.disk_catalog import DiskCatalog, StoredDisk
from vmsnap_lab.storage.errors import StorageError
from vmsnap_lab.storage.habits import CbtHabits
from vmsnap_lab.storage.qemu_img import QemuImg

BITMAP = "cbt"


@dataclass(frozen=True)
class Extent:
    """start, length: bytes."""

    start: int
    length: int


class Tracking:
    """Keeps the tracks of the disks of a catalog, and answers from them."""

    def __init__(self, catalog: DiskCatalog, qemu_img: QemuImg, habits: CbtHabits) -> None:
        self._catalog = catalog
        self._qemu_img = qemu_img
        self.habits = habits

    def start(self, disk: StoredDisk) -> None:
        """Track a leaf under a new UUID; the blocks its chain has in use count as changed first."""
        if disk.record.track is not None:
            self._set(disk, None)  # its bitmap is about to be lost
        with_bitmap = qcow2.read_bitmap(disk.file, BITMAP) is not None
        change = self._qemu_img.renew_bitmap if with_bitmap else self._qemu_img.add_bitmap
        change(disk.file, BITMAP, BLOCK)
        late = len(self._catalog.chain(disk.path)) > 1
        self._set(disk, Track.start(self._in_use(disk), late=late))

    def stop(self, disk: StoredDisk) -> None:
        if disk.record.track is not None:
            self._set(disk, None)
        if qcow2.read_bitmap(disk.file, BITMAP) is not None:
            self._qemu_img.remove_bitmap(disk.file, BITMAP)

    def track_now(self, disk: StoredDisk) -> Track | None:
        """The track of a disk with, on a leaf, what its bitmap has."""
        now = disk.record.track
        if now is None or disk.record.frozen:
            return now
        bitmap = qcow2.read_bitmap(disk.file, BITMAP)
        if bitmap is None or not bitmap.consistent or bitmap.granularity != BLOCK:
            return now.broke()
        return now.written(bitmap.granules)

    def client_left(self, disk: StoredDisk) -> None:
        """A client has closed a leaf that it may have written: forget that if habits say so."""
        if self.habits.door_writes == "missed":
            self.overlook(disk)

    def freeze(self, disk: StoredDisk) -> None:
        """End the epoch of a leaf; the disk counts as frozen from then on."""
        if not disk.record.frozen:
            track_at_end = self.track_now(disk)
            with self._catalog.lock:
                new = replace(disk.record, frozen=True, track=track_at_end)
                self._catalog.update(disk, new)

    def track_of_delta(self, parent: StoredDisk, reverted: bool) -> Track | None:
        """The track with which a new delta on `parent` starts; its bitmap is empty."""
        now = parent.record.track
        if now is None:
            return None
        if reverted and self.habits.revert_uuid == "new":
            return Track.start(self._in_use(parent))
        with self._catalog.lock:
            root = self._catalog.chain(parent.path)[-1]
            sequence = now.sequence + 1
            highest = max(sequence, root.record.sequences.get(now.uuid, 0) + 1)
            if self.habits.revert_sequence == "global":
                sequence = highest
            numbers = {**root.record.sequences, now.uuid: highest}
            self._catalog.update(root, replace(root.record, sequences=numbers))
            tracks = [below.record.track for below in self._catalog.chain(parent.path)]
        late = any(below is None or below.uuid != now.uuid for below in tracks)
        return now.follow(sequence, late=late)

    def note(self, disk: StoredDisk) -> None:
        """Put what a leaf's bitmap has into its track, so that the bitmap may be lost."""
        now = self.track_now(disk)
        if now is not None and not disk.record.frozen:
            self._set(disk, now)

    def overlook(self, disk: StoredDisk) -> None:
        """Forget what a leaf's bitmap has; what was put into the track stays."""
        if self.track_now(disk) is not None and not disk.record.frozen:
            self._qemu_img.renew_bitmap(disk.file, BITMAP, BLOCK)

    def crash(self, disk: StoredDisk) -> None:
        """A leaf's host has crashed; see CbtHabits.crash."""
        if disk.record.track is None:
            return
        if self.habits.crash == "new-uuid":
            self.start(disk)
        else:
            self.overlook(disk)

    def take_over(
        self, parent: StoredDisk, child: StoredDisk, *, locking: bool = True
    ) -> Track | None:
        """The track of a parent after a merge; if it becomes the leaf, its bitmap is renewed."""
        united = cbt_epochs.unite(parent.record.track, self.track_now(child))
        if not child.record.frozen:
            present = qcow2.read_bitmap(parent.file, BITMAP) is not None
            if united and present:
                self._qemu_img.renew_bitmap(parent.file, BITMAP, BLOCK, locking)
            elif united:
                self._qemu_img.add_bitmap(parent.file, BITMAP, BLOCK)
            elif present:
                self._qemu_img.remove_bitmap(parent.file, BITMAP)
        return united

    def changed_areas(
        self, chain: Sequence[StoredDisk], change_id: str, start: int, length: int | None
    ) -> list[Extent]:
        """What DiskStore.changed_areas answers for the first disk of a chain."""
        disk = chain[0]
        now = self.track_now(disk)
        if now is None:
            raise StorageError("no-track", f"changes of {disk.path} are not tracked")
        end = disk.capacity if length is None else min(start + length, disk.capacity)
        if not 0 <= start < disk.capacity or end <= start:
            raise StorageError("bad-offset", f"{disk.path} has no byte range {start}+{length}")
        line = [now]
        for below in chain[1:]:
            if below.record.track is not None and below.record.track.uuid == now.uuid:
                line.append(below.record.track)
        return _clip(self._answer(disk, line, change_id), start, end)

    def _answer(self, disk: StoredDisk, line: Sequence[Track], change_id: str) -> Iterable[Extent]:
        """The changed areas of the whole disk; `line`: the tracks of its UUID, leaf first."""
        since = 0
        if change_id == "*":
            if self.habits.star == "fails":
                raise StorageError("no-epoch", f"cannot get the current epoch of {disk.path}")
            if self.habits.star == "whole-disk":
                return [Extent(0, disk.capacity)]
            if self.habits.star == "own-files":
                runs = [cbt_epochs.blocks_of(self._own(each)) for each in self._beside(disk)]
                return [Extent(first * BLOCK, count * BLOCK) for first, count in join(*runs)]
        else:
            since = self._check_id(disk, line, change_id)
        blocks: Runs = tuple(join(*(each.since(since) for each in line)))
        if self.habits.late_misses and since:
            late = join(*(each.since(since, late=True) for each in line))
            others = [each.since(since, late=False) for each in line]
            blocks = tuple(join(*others, self._noticed(late, self.habits.late_misses)))
        if self.habits.misses:
            blocks = tuple(join(self._noticed(blocks, self.habits.misses)))
        return [Extent(first * BLOCK, count * BLOCK) for first, count in blocks]

    def _check_id(self, disk: StoredDisk, line: Sequence[Track], change_id: str) -> int:
        uuid, since = cbt_epochs.parse_change_id(change_id)
        if uuid != line[0].uuid or not 1 <= since <= line[0].sequence:
            raise StorageError(
                "cannot-get-changes", f"change id {change_id} does not belong to {disk.path}"
            )
        if self.habits.stray_id == "fails" and not any(since in each.epochs for each in line):
            raise StorageError(
                "cannot-get-changes", f"change id {change_id} is not in the past of {disk.path}"
            )
        return since

    def _noticed(
        self, blocks: Iterable[tuple[int, int]], misses: float
    ) -> Iterable[tuple[int, int]]:
        for first, count in blocks:
            for block in range(first, first + count):
                if not self.habits.overlooks(block, misses):
                    yield block, 1

    def _beside(self, disk: StoredDisk) -> list[StoredDisk]:
        """Those of a disk's chain that are in the folder of the disk."""
        with self._catalog.lock:
            chain = self._catalog.chain(disk.path)
        return [each for each in chain if each.file.parent == disk.file.parent]

    def _own(self, disk: StoredDisk) -> Iterable[tuple[int, int]]:
        return self._qemu_img.allocated(disk.file, own=True)

    def _in_use(self, disk: StoredDisk) -> Runs:
        return cbt_epochs.blocks_of(self._qemu_img.allocated(disk.file, own=False))

    def _set(self, disk: StoredDisk, new: Track | None) -> None:
        with self._catalog.lock:
            self._catalog.update(disk, replace(disk.record, track=new))


def _clip(areas: Iterable[Extent], start: int, end: int) -> list[Extent]:
    cut = (
        Extent(max(area.start, start), min(area.start + area.length, end) - max(area.start, start))
        for area in areas
    )
    return [area for area in cut if area.length > 0]
