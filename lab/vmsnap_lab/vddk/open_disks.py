# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The disks that the library has open, each behind a door of the storage's own."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from vmsnap_lab.storage import DiskStore, Door, Refusal, StorageError
from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vddk import limits
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.pages import Ledger
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure


@dataclass
class OpenDisk:
    """A disk between Open and Close. path: as the storage names it."""

    number: int
    process: int
    path: str
    writable: bool
    single_link: bool
    transport: str
    host: object
    buffers: int  # bytes; 0 for transports without NFC
    ledger: Ledger
    socket: str


class OpenDisks:
    """Opens and closes disks for all connections. ledgers, sockets: folders for a file per disk."""

    def __init__(
        self,
        vcenter: VCenter,
        store: DiskStore,
        habits: VddkHabits,
        numbers: Iterator[int],
        *,
        ledgers: Path,
        sockets: Path,
    ) -> None:
        self._vcenter = vcenter
        self._store = store
        self._habits = habits
        self._numbers = numbers
        self._ledgers = ledgers
        self._sockets = sockets
        self._open: dict[int, OpenDisk] = {}
        self._lock = threading.Lock()
        self._closed = False

    def all(self) -> Sequence[OpenDisk]:
        """Oldest first."""
        with self._lock:
            return list(self._open.values())

    def open(
        self, process: int, door: Door, transport: str, host: object, buffers: Optional[int]
    ) -> OpenDisk:
        """Open a door for the library. buffers: bytes of NFC buffers; None: not over the network.

        Raises VixFailure.
        """
        number = next(self._numbers)
        path = self._sockets / f"{number}.sock"
        with self._lock:
            if self._closed:
                raise VixFailure(VixError.CANNOT_CONNECT_TO_HOST)
            if buffers is not None:
                limits.check(
                    [disk for disk in self._open.values() if disk.buffers],
                    host,
                    buffers,
                    self._habits,
                    through_vcenter=self._vcenter.is_vcenter,
                )
            disk = OpenDisk(
                number=number,
                process=process,
                path=door.path,
                writable=door.writable,
                single_link=door.single_link,
                transport=transport,
                host=host,
                buffers=buffers or 0,
                ledger=Ledger(self._ledgers / str(number)),
                socket=str(path),
            )
            self._open[number] = disk
        # A merge may give the disk another name before the library connects.
        find = self._vcenter.disk_path
        self._store.open_door(path, lambda: dataclasses.replace(door, path=find(door.path)))
        return disk

    def close(self, disk: OpenDisk) -> None:
        """When it returns, the disk is closed and free for others."""
        with self._lock:
            if self._open.pop(disk.number, None) is None:
                return
        self.drop(disk)
        disk.ledger.close()

    def close_all(self) -> None:
        """Close all disks, and open none from now on."""
        with self._lock:
            self._closed = True
        for disk in self.all():
            self.close(disk)

    def drop(self, disk: OpenDisk) -> None:
        """Break the connection to a disk, as a network does; the library notices."""
        with contextlib.suppress(StorageError):  # dropped or closed already
            self._store.close_door(Path(disk.socket))

    def refusal(self, disk: OpenDisk) -> Optional[Refusal]:
        """Why the storage did not let the library in."""
        path = Path(disk.socket)
        return next((r for r in reversed(self._store.refusals) if r.socket == path), None)
