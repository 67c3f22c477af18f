# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Writes to one NBD connection for several threads, with several requests in flight.

A VMware disk takes only one writing connection, and one thread must drive a handle's requests: the
others hand theirs in here.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional

import nbd

from bareos_vmsnap.mover.child.errors import NbdError
from bareos_vmsnap.mover.child.nbd_connection import Connection
from bareos_vmsnap.stream.payload import Bytes

# A server that must write the zeros itself answers only afterwards: keep that time short.
ZERO_REQUEST = 32 << 20


class ClosedError(Exception):
    """The queue takes nothing more: it failed or was stopped."""


class DiskWrite(NamedTuple):
    """Data for an offset, or None for `length` zeros."""

    offset: int
    length: int
    data: Optional[Bytes]


class _WriteBatch:
    """What one call handed in: the requests still to be made, and how many are in flight."""

    def __init__(self, requests: Iterator[DiskWrite], release: Optional[Callable[[], None]]):
        self.requests = requests
        self.release = release
        self.in_flight = 0
        self.issued = False


class WriteQueue:
    """At most `depth` requests are in flight, and as many batches in the queue, which owns their
    memory meanwhile.

    If nothing is handed in for `keepalive` seconds, the connection is kept alive.
    """

    def __init__(self, connection: Connection, depth: int, keepalive: float):
        self._connection = connection
        self._handle = connection.handle
        self._depth = depth
        self._keepalive = keepalive
        self._waiting: deque[_WriteBatch] = deque()
        self._in_flight: dict[int, tuple[DiskWrite, _WriteBatch]] = {}
        self._batches = 0
        self._open = True
        self._changed = threading.Condition()
        self._woken, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        self._zeros = b"" if self._handle.can_zero() else bytes(connection.request)
        # VDDK writes zeros as data, and refuses requests that are too large for it.
        written = connection.endpoint.writes_zeros or self._zeros
        self._zero_request = connection.request if written else ZERO_REQUEST

    def put(
        self, writes: Sequence[DiskWrite], release: Optional[Callable[[], None]] = None
    ) -> None:
        """Hand in a batch of writes of any size, from any thread; wait for room.

        `release` is called, in another thread, once all of it is written. Raises ClosedError.
        """
        with self._changed:
            while self._open and self._batches >= self._depth:
                self._changed.wait()
            if not self._open:
                raise ClosedError
            self._batches += 1
            self._waiting.append(_WriteBatch(self._requests(writes), release))
        self._wake()

    def close(self) -> None:
        """Let `run` return once all batches are written."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._wake()

    def run(self) -> None:
        """Drive the connection until closed and done. Raises NbdError."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        try:
            while True:
                closed = not self._open  # read first: nothing is handed in after it closes
                self._start_waiting()
                if closed and not self._in_flight and not self._waiting:
                    return
                self._drive(poll)
                self._retire()
        finally:
            self.close()

    def _wake(self) -> None:
        try:
            os.write(self._wakeup, b"w")
        except BlockingIOError:
            return  # the pipe holds a byte already

    def _requests(self, writes: Sequence[DiskWrite]) -> Iterator[DiskWrite]:
        """Cut writes to the server's sizes, lazily: zeros of a whole disk are many requests."""
        for offset, length, data in writes:
            if data is None:
                yield from self._zero_requests(offset, length)
                continue
            view, step = memoryview(data), self._connection.request
            for place in range(0, length, step):
                part = view[place : place + step]
                yield DiskWrite(offset + place, len(part), part)

    def _zero_requests(self, offset: int, length: int) -> Iterator[DiskWrite]:
        step = self._zero_request
        # Cut on a grid, since servers handle whole blocks best.
        while length:
            part = min(length, step - offset % step)
            yield DiskWrite(offset, part, memoryview(self._zeros)[:part] if self._zeros else None)
            offset += part
            length -= part

    def _start_waiting(self) -> None:
        while self._waiting and len(self._in_flight) < self._depth:
            batch = self._waiting[0]
            write = next(batch.requests, None)
            if write is None:
                self._waiting.popleft()
                batch.issued = True
                self._end(batch)
                continue
            try:
                if write.data is None:
                    cookie = self._handle.aio_zero(write.length, write.offset)
                else:
                    cookie = self._handle.aio_pwrite(write.data, write.offset)
            except nbd.Error as error:
                raise self._failure(write, error) from error
            batch.in_flight += 1
            self._in_flight[cookie] = (write, batch)

    def _end(self, batch: _WriteBatch) -> None:
        """Make room if the batch is done."""
        if batch.in_flight or not batch.issued:
            return
        if batch.release:
            batch.release()
        with self._changed:
            self._batches -= 1
            self._changed.notify()

    def _drive(self, poll: select.poll) -> None:
        """Wait for the server or for another thread, and let libnbd do what it can."""
        try:
            descriptor = self._handle.aio_get_fd()
            poll.register(descriptor, self._events())
            ready = dict(poll.poll(self._keepalive * 500))
            if not ready and not self._in_flight:
                self._connection.stay_alive(self._keepalive)
            happened = ready.get(descriptor, 0)
            if happened & ~select.POLLOUT:
                self._handle.aio_notify_read()
            elif happened:
                self._handle.aio_notify_write()
        except nbd.Error as error:
            oldest = next(iter(self._in_flight.values()), None)
            if oldest is None:
                raise self._connection.lost(error) from error
            raise self._failure(oldest[0], error) from error
        if self._woken in ready:
            os.read(self._woken, 4096)

    def _events(self) -> int:
        direction = self._handle.aio_get_direction()
        events = select.POLLIN if direction & nbd.AIO_DIRECTION_READ else 0
        return events | (select.POLLOUT if direction & nbd.AIO_DIRECTION_WRITE else 0)

    def _retire(self) -> None:
        for cookie, (write, batch) in list(self._in_flight.items()):
            try:
                if not self._handle.aio_command_completed(cookie):
                    continue
            except nbd.Error as error:
                raise self._failure(write, error) from error
            del self._in_flight[cookie]
            self._connection.used()
            batch.in_flight -= 1
            self._end(batch)

    def _failure(self, write: DiskWrite, error: nbd.Error) -> NbdError:
        what = "zeroing" if write.data is None else "write"
        return self._connection.failure(what, write.offset, write.length, error)
