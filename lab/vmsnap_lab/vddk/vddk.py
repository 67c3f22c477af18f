# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab's end of VDDK: a directory for the library, a socket, the disks that are open."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path

from vmsnap_lab.storage import DiskStore
from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vddk import build
from vmsnap_lab.vddk.calls import LibraryCall
from vmsnap_lab.vddk.connection import LibraryConnection, LibraryState
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.login import Address
from vmsnap_lab.vddk.open_disks import OpenDisk, OpenDisks
from vmsnap_lab.vddk.pages import Switches

LARGEST_REQUEST = {True: 2 << 20, False: 23 << 20}
"""Bytes that one read may ask for through a vCenter, and of a host itself."""
_CREDENTIALS = struct.Struct("3i")

logger = logging.getLogger(__name__)


class Vddk:
    """Serves the library until it is closed.

    libdir: for nbdkit's `libdir=`. calls: the library's calls, oldest first.
    processes: those that initialised it. habits: may be changed at any time.
    plain_files: disks, by their datastore paths, whose data the library takes from a raw file and
        not from the storage, which then neither locks nor changes them: for measuring.
    """

    def __init__(
        self, vcenter: VCenter, store: DiskStore, address: Address, directory: Path, sockets: Path
    ) -> None:
        """`sockets` is a folder with a short path.

        Raises BuildError if the library cannot be built.
        """
        self.libdir = Path(os.path.realpath(directory))
        self._sockets = sockets
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._closed = False
        self._make_libdir()
        self.habits = VddkHabits(default_largest=LARGEST_REQUEST[vcenter.is_vcenter])
        numbers = itertools.count(1)
        ledgers = self.libdir / "ledgers"
        disks = OpenDisks(vcenter, store, self.habits, numbers, ledgers=ledgers, sockets=sockets)
        self._library = LibraryState(vcenter, address, self.habits, disks, numbers)
        self.calls = self._library.calls
        self.processes = self._library.processes
        self.plain_files = self._library.plain_files
        self._switches = Switches(self.libdir / "switches")
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
        self._library.disks.close_all()
        for client in clients:
            with contextlib.suppress(OSError):  # it left just now
                client.shutdown(socket.SHUT_RDWR)
        self.habits.show_on(None)
        self._switches.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    # What is open

    @property
    def open_disks(self) -> Sequence[OpenDisk]:
        """Disks that are open now, oldest first; their ledgers count on."""
        return self._library.disks.all()

    def drop(self, disk: OpenDisk) -> None:
        """Break the connection to a disk, as a network does; the library notices."""
        self._library.disks.drop(disk)

    def named(self, name: str) -> list[LibraryCall]:
        """The calls of that name, oldest first."""
        return [call for call in self.calls if call.name == name]

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
        connection = LibraryConnection(self._library, pid)
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
