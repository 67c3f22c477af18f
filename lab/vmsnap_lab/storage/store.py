# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The storage as the simulated vCenter and tests use it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from vmsnap_lab.storage import guest_io
from vmsnap_lab.storage.cbt_tracking import Extent, Tracking
from vmsnap_lab.storage.claims import Claims
from vmsnap_lab.storage.disk_catalog import DiskCatalog, StoredDisk
from vmsnap_lab.storage.doors import Door, Doors, Entrance, Refusal
from vmsnap_lab.storage.errors import StorageError
from vmsnap_lab.storage.habits import CbtHabits, FileHabits
from vmsnap_lab.storage.lifecycle import Lifecycle, Photograph
from vmsnap_lab.storage.nbd_server import Image
from vmsnap_lab.storage.paths import Datastores
from vmsnap_lab.storage.qemu_img import QemuImg
from vmsnap_lab.storage.rootlock import RootLock
from vmsnap_lab.storage.rules import Rules, check_capacity, check_range
from vmsnap_lab.storage.templates import Templates

if TYPE_CHECKING:
    import nbd

# A method of the store is called `list`.
Names = list[str]
Extents = list[Extent]
Photographs = Sequence[Photograph]


class DiskStore:
    """Datastores below a folder; their disks, one qcow2 file each; doors to these.

    Disks are named by VMware's datastore paths. A disk without parent is a base disk, one with a
    parent a delta; the parent of a delta is *frozen*: its content changes no more, except when its
    child is merged into it. Offsets, lengths and capacities are bytes.

    Every method raises StorageError "missing" for a disk that is not there, "locked" for one that
    is open through a door in a way that does not go with the method, "corrupt" or "no-space" when
    qemu fails. Methods may be called from several threads. All state is in files: a store opened
    later on the same folder goes on where this one ended, also after SIGKILL.
    """

    def __init__(
        self,
        root: Path,
        datastores: Sequence[str] = ("datastore1",),
        habits: CbtHabits | None = None,
        file_habits: FileHabits | None = None,
    ) -> None:
        guest_io.libnbd()  # better now than in the middle
        root.mkdir(parents=True, exist_ok=True)
        self._lock = RootLock(root)
        try:
            self._qemu_img = QemuImg(self._lock.inherited)
            self._catalog = DiskCatalog(Datastores(root, datastores))
            templates = Templates(self._catalog.datastores.root / ".templates", self._qemu_img)
            self._tracking = Tracking(self._catalog, self._qemu_img, habits or CbtHabits())
            self._lifecycle = Lifecycle(self._catalog, self._tracking, templates, self._qemu_img)
            self._lifecycle.finish_move()
        except BaseException:
            self._lock.close()
            raise
        self._file_habits = file_habits or FileHabits()
        self._photographs = itertools.count(1)
        self._rules = Rules(self._catalog)
        self._writers: dict[Entrance, StoredDisk] = {}  # by door, what its client may write
        self._doors = Doors(self._admit, self._leave, self._lock.inherited)
        self._claims: Claims[Entrance] = Claims(self._catalog.lock, self._doors.is_leaving)

    def __enter__(self) -> DiskStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all doors, end all servers, release the folder. A second call does nothing."""
        self._doors.close_all()
        self._lock.close()

    @property
    def habits(self) -> CbtHabits:
        return self._tracking.habits

    def create(self, path: str, capacity: int, thin: bool = True) -> None:
        """A new base disk; its capacity is a multiple of 512. Raises StorageError "exists"."""
        check_capacity(capacity)
        with self._claims.operation(lambda: self._rules.creating(path)):
            self._lifecycle.create(self._rules.new_name(path), capacity, thin)

    def create_delta(self, parent: str, path: str, *, reverted: bool = False) -> None:
        """Freeze `parent`, and make an empty delta on it, which is tracked if `parent` is.

        `reverted`: see CbtHabits.revert_uuid; a parent that is frozen already counts as reverted
        to in any case. Raises StorageError "exists".
        """
        with self._claims.operation(lambda: self._rules.deriving(parent, path)):
            below = self._catalog.find(parent)
            self._lifecycle.create_delta(below, self._rules.new_name(path), reverted)

    def delete(self, path: str) -> None:
        """Raises StorageError "has-children"."""
        with self._claims.operation(lambda: self._rules.deleting(path)):
            self._lifecycle.delete(self._catalog.find(path))

    def merge_into_parent(self, path: str) -> str:
        """Write a delta's data into its parent, which takes its place; returns the parent's path.

        The content of the delta's children stays the same, that of the parent is replaced. If this
        fails, or the lab is killed meanwhile, the delta and its children are as before, the parent
        has no valid content of its own, and the merge can be tried again.
        Raises StorageError "has-children" if the parent has another child, "bad-request" if there
        is no parent.
        """
        heed = not self._file_habits.merge_open
        with self._claims.operation(lambda: self._rules.merging(path), heed_doors=heed):
            disk, parent = self._rules.merge_pair(path)
            self._lifecycle.merge(disk, parent, locking=heed)
            return parent.path

    def grow(self, path: str, capacity: int) -> None:
        """Enlarge a disk without parent and children; what is new reads as zeros."""
        with self._claims.operation(lambda: self._rules.growing(path, capacity)):
            self._lifecycle.grow(self._catalog.find(path), capacity)

    def move(self, path: str, new_path: str) -> None:
        """Give a disk another name, in any datastore. Raises StorageError "exists"."""
        self._move(lambda: {self._catalog.find(path).path: self._rules.new_name(new_path)})

    def relocate(self, paths: Sequence[str], datastore: str) -> Mapping[str, str]:
        """Move disks to a datastore, where they keep folder and name; tracking goes on.

        Returns the new paths by the old ones; disks that are there already are left out.
        """

        def plan() -> dict[str, str]:
            old = [self._catalog.find(path).path for path in paths]
            new = [f"[{datastore}] {path.partition('] ')[2]}" for path in old]
            return {a: self._rules.new_name(b) for a, b in zip(old, new) if a != b}

        self._catalog.datastores.folder(datastore)
        return self._move(plan)

    def _move(self, plan: Callable[[], dict[str, str]]) -> Mapping[str, str]:
        with self._claims.operation(lambda: self._rules.moving(plan())):
            moves = plan()
            self._lifecycle.move(moves)
            return moves

    def copy(self, path: str, new_path: str) -> None:
        """Copy the content of a whole chain into a new base disk, which is not tracked."""
        with self._claims.operation(lambda: self._rules.copying(path, new_path)):
            self._lifecycle.copy(self._catalog.find(path), self._rules.new_name(new_path))

    def parent(self, path: str) -> str | None:
        with self._catalog.lock:
            return self._catalog.find(path).parent

    def children(self, path: str) -> Names:
        with self._catalog.lock:
            return self._catalog.children(self._catalog.find(path).path)

    def chain(self, path: str) -> Names:
        """A disk and all below it, down to the base disk."""
        with self._catalog.lock:
            return [disk.path for disk in self._catalog.chain(path)]

    def is_frozen(self, path: str) -> bool:
        """Whether a delta was ever made on the disk, and not merged back since."""
        with self._catalog.lock:
            return self._catalog.find(path).record.frozen

    def capacity(self, path: str) -> int:
        with self._catalog.lock:
            return self._catalog.find(path).capacity

    def size_on_datastore(self, path: str) -> int:
        """The space that the disk's own file takes."""
        with self._catalog.lock:
            return self._catalog.find(path).file.stat().st_blocks * 512

    def exists(self, path: str) -> bool:
        with self._catalog.lock:
            return path in self._catalog

    def list(self, datastore: str) -> Names:
        """All disks of a datastore, by name."""
        with self._catalog.lock:
            return self._catalog.names(datastore)

    def host_path(self, path: str) -> Path:
        """Where any file of a datastore is on this host, whether it exists or not."""
        return self._catalog.datastores.host_path(path)

    def enable_tracking(self, path: str) -> None:
        """Track a leaf from now on; one that is tracked already stays as it is.

        As VMware does, the blocks that its chain has allocated count as written in the first
        epoch. Disks frozen before stay without change ids.
        """
        with self._changing(path) as disk:
            if disk.record.track is None:
                self._tracking.start(disk)

    def disable_tracking(self, path: str) -> None:
        with self._changing(path) as disk:
            self._tracking.stop(disk)

    def reset_tracking(self, path: str) -> None:
        """Track a leaf under a new UUID, as if tracking had been disabled and enabled."""
        with self._changing(path) as disk:
            self._tracking.start(disk)

    def change_id(self, path: str) -> str | None:
        """The moment in which the disk was frozen, or a leaf's epoch will end.

        None if the disk is not tracked, or was not when it was frozen.
        """
        with self._catalog.lock:
            track = self._catalog.find(path).record.track
            return track.change_id() if track else None

    def changed_areas(
        self, path: str, change_id: str, start: int = 0, length: int | None = None
    ) -> Extents:
        """What was written to the disk's chain after a moment in its past, in [start, +length).

        Ascending, in whole blocks of 64 KiB unless clipped. "*" asks for all that was ever
        written. See CbtHabits for when this is not the truth. Raises StorageError "no-track"
        (not tracked), "no-epoch" ("*" fails), "cannot-get-changes" (another UUID, or a future
        moment), "corrupt" (a writer was killed), "bad-change-id", "bad-offset".
        """
        with self._reading(path):
            with self._catalog.lock:
                chain = self._catalog.chain(path)
            return self._tracking.changed_areas(chain, change_id, start, length)

    def write(self, path: str, offset: int, data: bytes) -> None:
        self.write_many(path, [(offset, data)])

    def write_zeros(self, path: str, offset: int, length: int) -> None:
        self.write_many(path, [(offset, length)])

    def write_many(self, path: str, writes: Sequence[tuple[int, guest_io.Payload]]) -> None:
        """Write to a leaf as the guest does; a number stands for that many bytes of zeros.

        Raises StorageError "bad-offset", and "locked" for a frozen disk.
        """
        with self._session(path, writable=True) as (disk, handle):
            for offset, payload in writes:
                length = payload if isinstance(payload, int) else len(payload)
                check_range(disk, offset, length)
            guest_io.write(handle, writes)

    def write_behind(self, path: str, writes: Sequence[tuple[int, guest_io.Payload]]) -> None:
        """Write to any disk, a frozen one too, as a tool on the host does: nothing tracks it.

        Raises StorageError "bad-offset".
        """
        with self._claims.operation(lambda: self._rules.writing_behind(path)):
            disk = self._catalog.find(path)
            for offset, payload in writes:
                length = payload if isinstance(payload, int) else len(payload)
                check_range(disk, offset, length)
            self._tracking.note(disk)
            with guest_io.session(Image(disk.file, True), self._lock.inherited) as handle:
                guest_io.write(handle, writes)
            self._tracking.overlook(disk)

    def crash(self, path: str) -> None:
        """The host of a leaf's guest has crashed; see CbtHabits.crash."""
        with self._changing(path) as disk:
            self._tracking.crash(disk)

    def photograph(self, paths: Sequence[str]) -> Photographs:
        """Copies of disks as they are, for roll_back(); they last as long as the store's folder."""
        with self._claims.operation(lambda: self._rules.photographing(paths)):
            disks = [self._catalog.find(path) for path in paths]
            folder = self._catalog.datastores.root / ".photographs"
            number = next(n for n in self._photographs if not (folder / str(n)).exists())
            return self._lifecycle.photograph(disks, folder / str(number))

    def roll_back(self, paths: Sequence[str], photographs: Photographs) -> None:
        """Replace disks by others as they were, as a storage array does. Raises "has-children"."""
        old = [each.path for each in photographs]
        with self._claims.operation(lambda: self._rules.rolling_back([*paths, *old])):
            doomed = {path: None for path in (*paths, *old) if path in self._catalog}
            self._lifecycle.roll_back([self._catalog.find(p) for p in doomed], photographs)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Raises StorageError "bad-offset"."""
        with self._session(path) as (disk, handle):
            check_range(disk, offset, length)
            return guest_io.read(handle, offset, length)

    def sha256(self, path: str) -> str:
        """The digest of a disk's whole content, in hexadecimal digits."""
        with self._session(path) as (_, handle):
            return guest_io.sha256(handle)

    def allocated(self, path: str, single_link: bool = False) -> Extents:
        """What the chain, or the disk's own file alone, has allocated, written zeros included."""
        with self._reading(path) as disk:
            found = self._qemu_img.allocated(disk.file, own=single_link)
            return [Extent(start, length) for start, length in found]

    def open_door(self, socket: Path, resolve: Callable[[], Door]) -> None:
        """Listen at `socket`; a client that connects gets the disk that `resolve` names then.

        `resolve` runs on a thread that serves all doors, perhaps several times for a client; it
        must not wait for a caller of the store. If it raises StorageError, or the disk is not
        available, the client is disconnected and the reason kept in `refusals`.
        A door for writing lets one client in at a time, and only to a leaf not open elsewhere.
        """
        self._doors.open(socket, resolve)

    def close_door(self, socket: Path) -> None:
        """Disconnect its clients, wait until the disk is closed, remove the socket."""
        self._doors.close(socket)

    def open_count(self, path: str) -> int:
        """How many doors have clients on the disk, or on one that reads through it."""
        with self._catalog.lock:
            return self._claims.doors_on(self._catalog.find(path).path)

    def is_left(self, path: str) -> bool:
        """Whether no client is on the disk any more; a server may still be closing it."""
        with self._catalog.lock:
            return self._claims.is_left(self._catalog.find(path).path)

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Clients that were turned away, the last one at the end; only so many are kept."""
        return self._doors.refusals()

    def _admit(self, entrance: Entrance, door: Door, patient: bool) -> Image | None:
        with self._catalog.lock:
            if door.writable and door.single_link:
                raise StorageError("bad-request", f"{door.path} cannot be written without parents")
            find_use = self._rules.writing if door.writable else self._rules.reading
            if not self._claims.enter(entrance, find_use(door.path), patient):
                return None
            disk = self._catalog.find(door.path)
            if door.writable:
                self._writers[entrance] = disk
            return Image(disk.file, door.writable, door.single_link)

    def _leave(self, entrance: Entrance) -> None:
        try:
            written = self._writers.pop(entrance, None)
            if written is not None:
                self._tracking.client_left(written)
        finally:
            self._claims.leave(entrance)

    @contextmanager
    def _changing(self, path: str) -> Iterator[StoredDisk]:
        with self._claims.operation(lambda: self._rules.writing(path)):
            yield self._catalog.find(path)

    @contextmanager
    def _reading(self, path: str) -> Iterator[StoredDisk]:
        with self._claims.operation(lambda: self._rules.reading(path)):
            yield self._catalog.find(path)

    @contextmanager
    def _session(self, path: str, writable: bool = False) -> Iterator[tuple[StoredDisk, nbd.NBD]]:
        hold = self._changing if writable else self._reading
        with (
            hold(path) as disk,
            guest_io.session(Image(disk.file, writable), self._lock.inherited) as handle,
        ):
            yield disk, handle
