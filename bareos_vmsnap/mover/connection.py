# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One connection to an NBD server, with requests in flight."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import nbd

from bareos_vmsnap.mover.failures import CapacityMismatch, NbdFailure
from bareos_vmsnap.transport import Endpoint

# A VDDK server opens the disk, through vCenter, while the client connects.
CONNECT_TIMEOUT = 120.0
SECTOR = 512


class Request(NamedTuple):
    """A request in flight."""

    cookie: int
    offset: int
    length: int


class Connection:
    """A handle for use by one thread at a time; another one may call `stay_alive` meanwhile.

    Raises NbdFailure that names the server, what was tried, where, and the server's last words.
    """

    def __init__(self, endpoint: Endpoint, *, request: int, contexts: Sequence[str] = ()):
        """`contexts` are the kinds of block status that will be asked for, where there are any."""
        self.endpoint = endpoint
        self._turn = threading.Lock()
        self._used = time.monotonic()
        self.handle = nbd.NBD()
        self.handle.set_pread_initialize(False)
        self.handle.set_uri_allow_local_file(True)
        for context in contexts:
            self.handle.add_meta_context(context)
        if not contexts:
            self.handle.set_request_structured_replies(False)
        self._connect()
        self.size: int = self.handle.get_size()
        self.block = max(SECTOR, self.handle.get_block_size(nbd.SIZE_MINIMUM))
        largest = self.handle.get_block_size(nbd.SIZE_MAXIMUM) or request
        self.request = max(self.block, min(request, largest) // self.block * self.block)

    def expect_size(self, capacity: int) -> None:
        """Raise CapacityMismatch unless the server's disk has `capacity` bytes."""
        if self.size != capacity:
            raise CapacityMismatch(
                f"{self.endpoint.name} has {self.size} bytes, expected {capacity}"
            )

    def start_read(self, view: memoryview, offset: int) -> list[Request]:
        """Ask for as many bytes as the view has; what lies beyond the disk's end reads as zeros."""
        inside = max(0, min(len(view), self.size - offset))
        if inside < len(view):
            view[inside:] = bytes(len(view) - inside)
        requests = []
        with self._in_use():
            for place in range(0, inside, self.request):
                part = view[place : min(inside, place + self.request)]
                request_offset = offset + place
                try:
                    cookie = self.handle.aio_pread(part, request_offset)
                except nbd.Error as error:
                    raise self.failure("read", request_offset, len(part), error) from error
                requests.append(Request(cookie, request_offset, len(part)))
        return requests

    def finish(self, requests: list[Request]) -> None:
        """Wait until requests are done."""
        with self._in_use():
            for cookie, offset, length in requests:
                try:
                    while not self.handle.aio_command_completed(cookie):
                        self.handle.poll(-1)
                except nbd.Error as error:
                    raise self.failure("read", offset, length, error) from error

    def stay_alive(self, idle: float) -> None:
        """Read a sector where nothing was asked for `idle` seconds; else return at once.

        VMware's hosts close disks that nobody reads, and the guide to VDDK advises to read block 0.
        """
        if time.monotonic() - self._used < idle or not self._turn.acquire(blocking=False):
            return
        try:
            self.handle.pread(min(self.block, self.size), 0)
        except nbd.Error as error:
            raise self.lost(error) from error
        finally:
            self._used = time.monotonic()
            self._turn.release()

    def used(self) -> None:
        """Note that something was asked for through the handle itself."""
        self._used = time.monotonic()

    def flush(self) -> None:
        """Have the server bring all that was written to stable storage, if it can."""
        try:
            if self.handle.can_flush():
                self.handle.flush()
        except nbd.Error as error:
            raise self._failure(f"flush failed: {error}") from error

    def close(self) -> None:
        """Take leave of the server."""
        # Everything asked for was answered: how the server takes its leave changes nothing.
        with contextlib.suppress(nbd.Error):
            self.handle.shutdown()

    def failure(self, what: str, offset: int, length: int, error: nbd.Error) -> NbdFailure:
        """Return the exception for a request that failed."""
        return self._failure(f"{what} of {length} bytes at offset {offset} failed: {error}")

    def lost(self, error: nbd.Error) -> NbdFailure:
        """Return the exception for a connection that broke while it was idle."""
        return self._failure(f"connection lost: {error}")

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        # Waiting for an answer that stay_alive has taken in already would last for ever.
        with self._turn:
            try:
                yield
            finally:
                self._used = time.monotonic()

    def _connect(self) -> None:
        deadline = time.monotonic() + CONNECT_TIMEOUT
        try:
            self.handle.aio_connect_uri(self.endpoint.uri)
            while self.handle.aio_is_connecting():
                if time.monotonic() > deadline:
                    raise self._failure(f"no connection within {CONNECT_TIMEOUT:.0f} s")
                self.handle.poll(1000)
        except nbd.Error as error:
            raise self._failure(f"cannot connect: {error}") from error
        if not self.handle.aio_is_ready():
            raise self._failure("cannot connect: the server closed the connection")

    def _failure(self, problem: str) -> NbdFailure:
        # libnbd quotes a URI that it does not understand, and that may hold a secret.
        problem = problem.replace(self.endpoint.uri, "(its URI)")
        meaning = self.endpoint.explain()
        if meaning:
            return NbdFailure(f"{self.endpoint.name}: {meaning}; {problem}")
        said = self.endpoint.log()
        return NbdFailure(
            f"{self.endpoint.name}: {problem}" + (f"; the server said: {said}" if said else "")
        )
