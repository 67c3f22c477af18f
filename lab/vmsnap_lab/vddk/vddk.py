# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab's end of VDDK: a directory for the library, a socket, the disks that are open."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import shutil
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from vmsnap_lab.storage import Door, Refusal, StorageError
from vmsnap_lab.vddk import build, limits
from vmsnap_lab.vddk.calls import Call, Process
from vmsnap_lab.vddk.connection import Connection, OpenDisk
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.pages import Ledger, Switches
from vmsnap_lab.vddk.vix import VixError, VixFailure

if TYPE_CHECKING:
    from vmsnap_lab.lab import Lab

LARGEST_REQUEST = {True: 2 << 20, False: 23 << 20}
"""Bytes that one read may ask for through a vCenter, and of a host itself."""
_CREDENTIALS = struct.Struct("3i")

logger = logging.getLogger(__name__)


class Vddk:
    """Serves the library until it is closed.

    libdir: what nbdkit's `libdir=` wants. calls: what the library was called for, oldest first.
    processes: those that initialised it. habits: may be changed at any time.
    plain_files: disks, by their datastore paths, whose data the library takes from a raw file and
        not from the storage, which then neither locks nor changes them: for measuring.
    """

    def __init__(self, lab: Lab, directory: Path, sockets: Path) -> None:
        """`sockets` is a folder with a short path.

        Raises BuildError where the library cannot be built.
        """
        self.lab = lab
        self.calls: list[Call] = []
        self.processes: list[Process] = []
        self.plain_files: dict[str, Path] = {}
        self.libdir = directory
        self._sockets = sockets
        self._numbers = itertools.count(1)
        self._open: dict[int, OpenDisk] = {}
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._closed = False
        self._make_libdir()
        self.habits = VddkHabits(default_largest=LARGEST_REQUEST[lab.vcenter.is_vcenter])
        self._switches = Switches(directory / "switches")
        self.habits.show_on(self._switches)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(sockets / "library.sock"))
        self._listener.listen(128)
        self._thread = threading.Thread(target=self._accept, name="lab-vddk", daemon=True)
        self._thread.start()

    def _make_libdir(self) -> None:
        library = build.library()
        shutil.rmtree(self.libdir, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._sockets.mkdir(mode=0o700)
        folder = self.libdir / "lib64"
        folder.mkdir(parents=True)
        (folder / library.name).symlink_to(library)
        (self.libdir / "lab-address").write_text(str(self._sockets / "library.sock"))
        (self.libdir / "ledgers").mkdir()

    def leave_access_out(self) -> None:
        """From now on the library has no PrepareForAccess and EndAccess, as some others."""
        link = self.libdir / "lib64" / build.NAME
        link.unlink()
        link.symlink_to(build.library("-DWITHOUT_ACCESS"))

    def close(self) -> None:
        """Disconnect all clients; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            clients = list(self._clients)
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for disk in list(self._open.values()):
            self.close_disk(disk)
        for client in clients:
            with contextlib.suppress(OSError):  # it left just now
                client.shutdown(socket.SHUT_RDWR)
        self.habits.show_on(None)
        self._switches.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    # What is open

    @property
    def open_disks(self) -> Sequence[OpenDisk]:
        """Disks that are open now, oldest first; their ledgers count while one looks."""
        with self._lock:
            return list(self._open.values())

    def drop(self, disk: OpenDisk) -> None:
        """Break the connection to a disk, as a network does; the library notices."""
        with contextlib.suppress(StorageError):  # closed meanwhile
            self.lab.store.close_door(Path(disk.socket))

    def named(self, name: str) -> list[Call]:
        """The calls of that name, oldest first."""
        return [call for call in self.calls if call.name == name]

    # For connections

    def next_number(self) -> int:
        return next(self._numbers)

    def open_disk(
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
                over_network = [disk for disk in self._open.values() if disk.buffers]
                through_vcenter = self.lab.vcenter.is_vcenter
                limits.check(
                    over_network, host, buffers, self.habits, through_vcenter=through_vcenter
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
                ledger=Ledger(self.libdir / "ledgers" / str(number)),
                socket=str(path),
            )
            self._open[number] = disk
        # A merge may give the disk another name before the library connects.
        find = self.lab.vcenter.disk_path
        self.lab.store.open_door(path, lambda: dataclasses.replace(door, path=find(door.path)))
        return disk

    def close_disk(self, disk: OpenDisk) -> None:
        """When it returns, the disk is closed and free for others."""
        with self._lock:
            if self._open.pop(disk.number, None) is None:
                return
        with contextlib.suppress(StorageError):  # dropped already
            self.lab.store.close_door(Path(disk.socket))
        disk.ledger.close()

    def refusal(self, disk: OpenDisk) -> Optional[Refusal]:
        """Why the storage did not let the library in."""
        path = Path(disk.socket)
        return next((r for r in reversed(self.lab.store.refusals) if r.socket == path), None)

    # The socket

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                raise
            with self._lock:
                if self._closed:
                    client.close()
                    return
                self._clients.add(client)
            threading.Thread(
                target=self._serve, args=(client,), name="lab-vddk-client", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        pid, _, _ = _CREDENTIALS.unpack(
            client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        connection = Connection(self, pid)
        try:
            with client, client.makefile("r", encoding="ascii", newline="\n") as lines:
                for line in lines:
                    client.sendall(connection.answer(line))
        except OSError as error:
            logger.debug("the library in process %d has gone: %s", pid, error)
        except Exception:
            logger.exception("The simulation failed for the library in process %d", pid)
        finally:
            connection.abandon()
            with self._lock:
                self._clients.discard(client)


def make(lab: Lab, directory: Path, doors: Path) -> Vddk:
    """Below the lab's directory and its folder of sockets."""
    return Vddk(lab, Path(os.path.realpath(directory)) / "vddk", doors / "vddk")
