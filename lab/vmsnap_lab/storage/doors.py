# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Doors: unix sockets on which a client finds the disk that is the right one at that moment.

A door listens itself. When a client's connection is pending, it asks what to show and starts an
unmodified qemu-nbd on its listening socket, which accepts the connection and ends when its last
client has left; then the door listens again.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vmsnap_lab.storage import unix_sockets
from vmsnap_lab.storage.claims import GRACE
from vmsnap_lab.storage.errors import Kind, StorageError
from vmsnap_lab.storage.nbd_server import Image, NbdServer

_BACKLOG = 128
_TICK = 0.1
"""Seconds between two checks of running servers."""
_RETRY = 0.02
"""Seconds between two tries for a disk that an operation of the store is using."""
_UNUSED = 1.0
"""Seconds after which a server without any connection is ended: its client went too early."""
_RESOLVING = 10.0
"""Seconds for which the end of a store waits for a resolver."""
_KEPT_REFUSALS = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """What a door shows to a client that has just come.

    path: the disk, by its datastore path. writable: for one client, alone with the disk.
    single_link: the disk without its parents, which read as unallocated; not writable.
    """

    path: str
    writable: bool = False
    single_link: bool = False


@dataclass(frozen=True)
class Refusal:
    """A client that was turned away. time: seconds since the epoch."""

    socket: Path
    kind: Kind
    message: str
    time: float


class Entrance:
    """A door and, while clients are served, its server. `since`: when its present state began."""

    def __init__(self, path: Path, listener: socket.socket, resolve: Callable[[], Door]) -> None:
        self.path = path
        self.listener = listener
        self.resolve = resolve
        self.server: NbdServer | None = None
        self.closed = False
        self.is_waiting = False  # a client is pending, the disk is in use by an operation
        self.since = time.monotonic()
        self.surplus = False  # a second writer was pending at the last look

    def age(self) -> float:
        return time.monotonic() - self.since


Admit = Callable[[Entrance, Door, bool], "Image | None"]


class Doors:
    """All doors of a store, watched by one thread.

    admit: claims the disk for an entrance and returns the image to show, or None when the client
        must wait a little; with its third argument set, that includes waiting for another door.
        Raises StorageError to refuse the client.
    leave: releases the claim. keep: a descriptor that servers inherit.
    """

    def __init__(self, admit: Admit, leave: Callable[[Entrance], None], keep: int) -> None:
        self._refusals: deque[Refusal] = deque(maxlen=_KEPT_REFUSALS)
        self._admit = admit
        self._leave = leave
        self._keep = keep
        self._lock = threading.Lock()
        self._entrances: dict[Path, Entrance] = {}
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closing = False
        # Servers end with the thread that started them, so it is this one that starts them all.
        self._thread = threading.Thread(target=self._watch, name="lab-doors", daemon=True)
        self._thread.start()

    def open(self, path: Path, resolve: Callable[[], Door]) -> None:
        """Raises StorageError "exists" for a file that is there, "bad-request" for a bad path."""
        listener = socket.socket(socket.AF_UNIX)
        try:
            if unix_sockets.is_abandoned(path):
                path.unlink()
            listener.setblocking(False)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            kind: Kind = "exists" if path.exists() else "bad-request"
            raise StorageError(kind, f"cannot open a door at {path}: {error}") from error
        with self._lock:
            if self._closing:
                listener.close()
                path.unlink()
                raise StorageError("bad-request", "the store is closed")
            self._entrances[path] = Entrance(path, listener, resolve)
            self._wake()

    def close(self, path: Path) -> None:
        """Close a door and disconnect its clients. Raises StorageError "missing"."""
        with self._lock:
            entrance = self._entrances.pop(path, None)
            if entrance is None:
                raise StorageError("missing", f"there is no door at {path}")
            entrance.closed = True
            entrance.listener.close()
            server = entrance.server
            path.unlink(missing_ok=True)
            self._wake()
        if server is not None:
            self._stop_server(entrance, server)

    def close_all(self) -> None:
        """Close all doors and end the thread. A second call does nothing."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            paths = list(self._entrances)
        for path in paths:
            with suppress(StorageError):  # closed by another thread meanwhile
                self.close(path)
        self._wake()
        self._thread.join(_RESOLVING)
        if not self._thread.is_alive():
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def is_leaving(self, entrance: Entrance) -> bool:
        """Whether no client is connected or pending; settles a server that has ended.

        So a wait for a disk does not depend on the doors' thread: that may be resolving.
        """
        server = entrance.server
        if server is not None and server.has_ended():
            self._after_end(entrance, server)
        return unix_sockets.count([entrance.path])[entrance.path] == (0, 0)

    def refusals(self) -> list[Refusal]:
        with self._lock:
            return list(self._refusals)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full: it will wake up all the same
            os.write(self._wake_writer, b"\0")

    def _watch(self) -> None:
        next_check = 0.0
        while True:
            with self._lock:
                if self._closing:
                    return
                entrances = list(self._entrances.values())
            ready = self._wait(entrances)
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + _TICK
                self._check_servers(entrances)
            for entrance in entrances:
                server = entrance.server
                if entrance.closed:
                    continue
                if server is not None and server.has_ended():
                    self._after_end(entrance, server)
                elif server is None and (entrance.is_waiting or entrance in ready):
                    self._serve_pending(entrance)

    def _wait(self, entrances: Collection[Entrance]) -> set[Entrance]:
        """Wait until something is to be done; the entrances with a pending client."""
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        knocks: dict[int, Entrance] = {}
        timeout: float | None = None
        with self._lock:
            for entrance in entrances:
                if entrance.closed:
                    continue
                if entrance.server is not None:
                    poll.register(entrance.server.pidfd, select.POLLIN)
                    timeout = min(timeout or _TICK, _TICK)
                elif entrance.is_waiting:
                    timeout = _RETRY
                else:
                    poll.register(entrance.listener, select.POLLIN)
                    knocks[entrance.listener.fileno()] = entrance
        events = poll.poll(None if timeout is None else timeout * 1000)
        for descriptor, _ in events:
            if descriptor == self._wake_reader:
                os.read(self._wake_reader, 4096)
        return {knocks[descriptor] for descriptor, _ in events if descriptor in knocks}

    def _serve_pending(self, entrance: Entrance) -> None:
        """Let a pending client in, turn it away, or leave it waiting."""
        if not entrance.is_waiting:
            entrance.since = time.monotonic()
        try:
            image = self._admit(entrance, entrance.resolve(), entrance.age() < GRACE)
            entrance.is_waiting = image is None
            if image is not None and not self._serve(entrance, image):
                self._leave(entrance)
        except StorageError as error:
            self._refuse(entrance, error.kind, str(error))
        except Exception as error:
            logger.exception("cannot open the door at %s", entrance.path)
            self._leave(entrance)
            self._refuse(entrance, "bad-request", f"{type(error).__name__}: {error}")

    def _serve(self, entrance: Entrance, image: Image) -> bool:
        """Start a server. False: the door has been closed meanwhile."""
        with self._lock:
            if not entrance.closed:
                entrance.server = NbdServer(entrance.listener, image, self._keep, cache="writeback")
                entrance.since = time.monotonic()
            return not entrance.closed

    def _after_end(self, entrance: Entrance, server: NbdServer) -> None:
        """After a server's end, listen again."""
        with self._lock:
            if entrance.closed or entrance.server is not server:
                return
            entrance.server = None
            entrance.surplus = False
        complaint = server.complaint()
        server.close()
        self._leave(entrance)
        if complaint:
            self._refuse(entrance, "corrupt", complaint)

    def _stop_server(self, entrance: Entrance, server: NbdServer) -> None:
        server.stop()
        server.close()
        self._leave(entrance)

    def _check_servers(self, entrances: Collection[Entrance]) -> None:
        """End servers without clients, and turn second writers away."""
        served = [entrance for entrance in entrances if entrance.server is not None]
        if not served:
            return
        counts = unix_sockets.count([entrance.path for entrance in served])
        for entrance in served:
            accepted, pending = counts[entrance.path]
            with self._lock:
                server = entrance.server
                if entrance.closed or server is None:
                    continue
                if accepted or pending:
                    entrance.since = time.monotonic()
                elif entrance.age() > _UNUSED:
                    server.terminate()
                knocks = server.image.writable and accepted > 0 and pending > 0
                again = entrance.surplus and knocks
                entrance.surplus = knocks and not again  # until the next one comes
            if again:
                self._refuse(entrance, "locked", "the disk is being written by another client")

    def _refuse(self, entrance: Entrance, kind: Kind, message: str) -> None:
        """Disconnect all clients that are pending: not one that comes because another was let go."""
        entrance.is_waiting = False
        clients: list[socket.socket] = []
        with self._lock, suppress(BlockingIOError):
            self._refusals.append(Refusal(entrance.path, kind, message, time.time()))
            while not entrance.closed:
                clients.append(entrance.listener.accept()[0])
        for client in clients:
            client.close()
