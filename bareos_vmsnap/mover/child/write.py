# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The operation write: from a segment to a disk."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import Callable, Optional

from bareos_vmsnap import transport
from bareos_vmsnap.mover.child.admission import admitted
from bareos_vmsnap.mover.child.errors import NbdError
from bareos_vmsnap.mover.child.intake import Intake
from bareos_vmsnap.mover.child.nbd_connection import Connection
from bareos_vmsnap.mover.child.rate_limiter import RateLimiter
from bareos_vmsnap.mover.child.readback import Readback
from bareos_vmsnap.mover.child.reporter import Reporter, report
from bareos_vmsnap.mover.child.worker_threads import WorkerThreads
from bareos_vmsnap.mover.child.write_queue import ClosedError, DiskWrite, WriteQueue
from bareos_vmsnap.mover.plan import WritePlan
from bareos_vmsnap.mover.report import Report
from bareos_vmsnap.stream import layout

DECODERS = os.cpu_count() or 1


def run(plan: WritePlan, data: int, reporter: Reporter) -> Report:
    """Apply the segment that comes through `data`, and return the report.

    When this returns, the segment was complete, all of it is on stable storage, and the server has
    stopped. Raises MoverChildError, SegmentError, TransportError; then threads may still be busy.
    """
    with ExitStack() as stack:
        stack.enter_context(admitted([plan.target], reporter))
        endpoint = stack.enter_context(transport.open(plan.target, writable=True))
        connection = Connection(endpoint, request=plan.request_size)
        connection.expect_size(plan.capacity)
        if connection.handle.is_read_only():
            raise NbdError(f"{endpoint.name} does not allow writing", id="nbd-read-only")
        reporter.ready()
        _await(data, connection, plan.keepalive)
        intake = Intake(data)
        intake.expect(plan.expect, plan.capacity)
        readback = Readback() if plan.readback else None
        _move(plan, intake, connection, readback)
        connection.flush()
        if readback:
            readback.check(connection, intake.chunk, plan.requests_in_flight)
        connection.close()
    totals, stream_bytes = intake.totals()
    return report(totals, stream_bytes)


def _await(data: int, connection: Connection, keepalive: float) -> None:
    """Return when the segment begins to arrive, which may take as long as a change of tapes."""
    poll = select.poll()
    poll.register(data, select.POLLIN)
    while not poll.poll(keepalive * 500):
        connection.stay_alive(keepalive)


def _move(
    plan: WritePlan,
    intake: Intake,
    connection: Connection,
    readback: Optional[Readback],
) -> None:
    writes = WriteQueue(connection, plan.requests_in_flight, plan.keepalive)
    decoding = Decoding(plan, intake, writes, readback)

    tasks: list[Callable[[], None]] = [writes.run, *[decoding.run] * DECODERS]
    WorkerThreads(tasks).wait()


class Decoding:
    """The state of the decoder threads. DECODERS of them call `run`."""

    def __init__(
        self,
        plan: WritePlan,
        intake: Intake,
        writes: WriteQueue,
        readback: Optional[Readback],
    ):
        self._drop_zeros = plan.drop_zeros
        self._rate_limiter = RateLimiter(plan.rate_limit)
        self._intake = intake
        self._writes = writes
        self._readback = readback
        self._left = DECODERS
        self._lock = threading.Lock()
        # Never empty: each thread holds at most one, each batch in the queue another.
        self._buffers = deque(
            memoryview(bytearray(intake.chunk)) for _ in range(DECODERS + plan.requests_in_flight)
        )

    def run(self) -> None:
        """Take frames, check and decompress them, and hand them to the queue, until the end."""
        try:
            while self._next_frames():
                pass
        except ClosedError:
            return  # the queue's own failure is the one to report
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._writes.close()

    def _next_frames(self) -> bool:
        buffer = self._buffers.popleft()
        taken = self._intake.take(buffer)
        if not taken:
            return False
        writes: list[DiskWrite] = []
        raw = 0
        borrowed = False
        for each in taken:
            frame = each.frame
            if self._readback:
                self._readback.remember(frame)
            if frame.kind != layout.ZERO:
                writes.append(DiskWrite(frame.offset, frame.length, each.unpack()))
                borrowed = borrowed or frame.kind == layout.STORED
                raw += frame.length
            elif not self._drop_zeros:
                writes.append(DiskWrite(frame.offset, frame.length, None))
        self._rate_limiter.wait(raw)
        if not borrowed:
            self._buffers.append(buffer)
        if writes:
            self._writes.put(writes, partial(self._buffers.append, buffer) if borrowed else None)
        return True
