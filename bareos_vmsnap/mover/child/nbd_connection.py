# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One connection to an NBD server, with several requests in flight."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

import nbd

from bareos_vmsnap.mover.child.errors import CapacityError, NbdError
from bareos_vmsnap.processes import sockets
from bareos_vmsnap.transport import Endpoint

# A VDDK server opens the disk, through vCenter, while the client connects.
CONNECT_TIMEOUT = 120.0
SECTOR = 512
# Seconds before each new attempt after a failed read, on endpoints that may be opened again.
RETRY_DELAYS = (2.0, 4.0, 8.0)


@dataclass(eq=False)
class Request:
    """A request in flight: the data at `offset` goes into the view."""

    view: memoryview
    offset: int
    cookie: int = -1


class ServerGoneError(NbdError):
    """The server no longer listens."""

    id = "nbd-server-gone"


class _Clients:
    """Counts the connections to a server that may end with the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def join(self) -> None:
        with self._lock:
            self._count += 1

    def leave(self) -> bool:
        """Leave, unless this is the last one; return whether it left."""
        with self._lock:
            left = self._count > 1
            self._count -= left
            return left


class Connection:
    """A handle for use by one thread at a time; another one may call `stay_alive` meanwhile.

    If the endpoint may be opened again, reading survives short outages; `recovered` lists them, for
    people. (nbdkit's filter `retry` would do that with one request at a time.) Raises NbdError,
    which names the server, the request, its offset, and the server's last messages.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        request: int,
        contexts: Sequence[str] = (),
        beside: Optional[Connection] = None,
    ):
        """`contexts` are the kinds of block status that will be asked for, if any.

        `beside` is another connection to the same server, if there is one.
        """
        self.endpoint = endpoint
        self.recovered: list[str] = []
        self._clients: _Clients = beside._clients if beside else _Clients()
        self._contexts = contexts
        self._turn = threading.Lock()
        self._used = time.monotonic()
        self._unanswered: list[Request] = []
        self.handle = self._open()
        self._clients.join()
        self.size: int = self.handle.get_size()
        self.block = max(SECTOR, self.handle.get_block_size(nbd.SIZE_MINIMUM))
        largest = self.handle.get_block_size(nbd.SIZE_MAXIMUM) or request
        self.request = max(self.block, min(request, largest) // self.block * self.block)

    def expect_size(self, capacity: int) -> None:
        """Raise CapacityError unless the server's disk has `capacity` bytes."""
        if self.size != capacity:
            raise CapacityError(f"{self.endpoint.name} has {self.size} bytes, expected {capacity}")

    def start_read(self, view: memoryview, offset: int) -> list[Request]:
        """Request as many bytes as the view has; those beyond the disk's end read as zeros."""
        inside = max(0, min(len(view), self.size - offset))
        if inside < len(view):
            view[inside:] = bytes(len(view) - inside)
        requests = []
        with self._in_use():
            for place in range(0, inside, self.request):
                part = view[place : min(inside, place + self.request)]
                request = Request(part, offset + place)
                requests.append(request)
                self._unanswered.append(request)
                try:
                    self._ask(request)
                except nbd.Error as error:
                    self._recover(self._read_failure(request, error), 0)
        return requests

    def finish(self, requests: list[Request]) -> None:
        """Wait until these requests are done."""
        with self._in_use():
            for request in requests:
                self._wait_for(request)
                self._unanswered.remove(request)

    def stay_alive(self, idle: float) -> None:
        """Read a sector if there was no request for `idle` seconds; else return at once.

        VMware's hosts close disks that nobody reads; the guide to VDDK advises reading block 0.
        """
        if time.monotonic() - self._used < idle or not self._turn.acquire(blocking=False):
            return
        try:
            self.handle.pread(min(self.block, self.size), 0)
        except nbd.Error as error:
            self._recover(self.lost(error), 0)
        finally:
            self._used = time.monotonic()
            self._turn.release()

    def used(self) -> None:
        """Note a request that was made through the handle itself."""
        self._used = time.monotonic()

    def flush(self) -> None:
        """Have the server bring all writes to stable storage, if it can."""
        try:
            if self.handle.can_flush():
                self.handle.flush()
        except nbd.Error as error:
            raise self._failure(f"flush failed: {error}") from error

    def close(self) -> None:
        """Disconnect from the server."""
        # All requests were answered: how the server disconnects changes nothing.
        with contextlib.suppress(nbd.Error):
            self.handle.shutdown()

    def failure(self, what: str, offset: int, length: int, error: nbd.Error) -> NbdError:
        """Return the exception for a request that failed."""
        # If the connection was lost before, libnbd reports only its state.
        why = "the connection is lost" if error.errnum == errno.ENOTCONN else str(error)
        return self._failure(f"{what} of {length} bytes at offset {offset} failed: {why}")

    def lost(self, error: nbd.Error) -> NbdError:
        """Return the exception for a connection that broke while it was idle."""
        return self._failure(f"connection lost: {error}")

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        # Waiting for an answer that stay_alive has already taken in would last for ever.
        with self._turn:
            try:
                yield
            finally:
                self._used = time.monotonic()

    def _ask(self, request: Request) -> None:
        request.cookie = self.handle.aio_pread(request.view, request.offset)

    def _wait_for(self, request: Request) -> None:
        attempt = 0
        while True:
            try:
                while not self.handle.aio_command_completed(request.cookie):
                    self.handle.poll(-1)
                return
            except nbd.Error as error:
                attempt = self._recover(self._read_failure(request, error), attempt)

    def _recover(self, failure: NbdError, attempt: int) -> int:
        """Reconnect, repeat all unanswered requests, and return the number of attempts.

        Raises `failure` if the endpoint does not allow that, the server has ended, or too many
        attempts failed.
        """
        first, left = failure, False
        while True:
            if not self.endpoint.reopens or attempt >= len(RETRY_DELAYS):
                raise failure
            # A host may take no more connections than there are, so the broken one is closed
            # first, unless the server would end with it.
            if not left and self._clients.leave():
                left = True
                _hang_up(self.handle)
            time.sleep(RETRY_DELAYS[attempt])
            attempt += 1
            try:
                self.handle = self._open()
                if left:
                    self._clients.join()
                    left = False
                self.expect_size(self.handle.get_size())
                for request in self._unanswered:
                    self._ask(request)
            except ServerGoneError:
                raise failure from None
            except NbdError as again:
                failure = again
            except nbd.Error as error:
                failure = self.lost(error)
            else:
                self.recovered.append(f"connected anew after: {first.what}")
                return attempt

    def _open(self) -> nbd.NBD:
        handle = nbd.NBD()
        handle.set_pread_initialize(False)
        handle.set_uri_allow_local_file(True)
        for context in self._contexts:
            handle.add_meta_context(context)
        if not self._contexts:
            handle.set_request_structured_replies(False)
        deadline = time.monotonic() + CONNECT_TIMEOUT
        try:
            handle.aio_connect_uri(self.endpoint.uri)
            while handle.aio_is_connecting():
                if time.monotonic() > deadline:
                    raise self._failure(f"no connection within {CONNECT_TIMEOUT:.0f} s")
                handle.poll(1000)
        except nbd.Error as error:
            failure = self._failure(f"cannot connect: {error}")
            if error.errnum == errno.ECONNREFUSED:
                known = failure.id if failure.id != NbdError.id else None
                raise ServerGoneError(failure.what, id=known) from error
            raise failure from error
        if not handle.aio_is_ready():
            raise self._failure("cannot connect: the server closed the connection")
        with socket.socket(fileno=os.dup(handle.aio_get_fd())) as descriptor:
            sockets.widen(descriptor)
        return handle

    def _read_failure(self, request: Request, error: nbd.Error) -> NbdError:
        return self.failure("read", request.offset, len(request.view), error)

    def _failure(self, problem: str) -> NbdError:
        # libnbd quotes a URI that it does not understand; it may hold a secret.
        problem = problem.replace(self.endpoint.uri, "(its URI)")
        meaning = self.endpoint.explain()
        if meaning:
            return NbdError(f"{self.endpoint.name}: {meaning.text}; {problem}", id=meaning.id)
        messages = self.endpoint.log()
        return NbdError(
            f"{self.endpoint.name}: {problem}"
            + (f"; the server said: {messages}" if messages else "")
        )


def _hang_up(handle: nbd.NBD) -> None:
    """Close the connection of a handle that others may still refer to."""
    try:
        descriptor = os.dup(handle.aio_get_fd())
    except nbd.Error:
        return  # libnbd has closed it
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
