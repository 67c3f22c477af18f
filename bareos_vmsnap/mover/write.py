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
from typing import Any, Callable, Optional

from bareos_vmsnap import transport
from bareos_vmsnap.mover.admission import admitted
from bareos_vmsnap.mover.connection import Connection
from bareos_vmsnap.mover.crew import Crew
from bareos_vmsnap.mover.failures import NbdFailure
from bareos_vmsnap.mover.intake import Intake
from bareos_vmsnap.mover.pace import Pace
from bareos_vmsnap.mover.plan import WritePlan
from bareos_vmsnap.mover.readback import Readback
from bareos_vmsnap.mover.reporter import PROGRESS_INTERVAL, Reporter, totals_fields
from bareos_vmsnap.mover.writequeue import Closed, Write, WriteQueue
from bareos_vmsnap.stream import layout

DECODERS = os.cpu_count() or 1


def run(plan: WritePlan, data: int, reporter: Reporter) -> dict[str, Any]:
    """Apply the segment that comes in the channel `data`, and return the report's fields.

    When this returns, the segment was whole, all of it is on stable storage, and the server has
    stopped. Raises MoverFailure, SegmentError, TransportError; then threads may still be busy.
    """
    with ExitStack() as stack:
        stack.enter_context(admitted([plan.target], reporter))
        endpoint = stack.enter_context(transport.open(plan.target, writable=True))
        connection = Connection(endpoint, request=plan.request)
        connection.expect_size(plan.capacity)
        if connection.handle.is_read_only():
            raise NbdFailure(f"{endpoint.name} does not allow writing")
        reporter.ready()
        _await(data, connection, plan.keepalive)
        intake = Intake(data)
        intake.expect(plan.expect or {}, plan.capacity)
        readback = Readback() if plan.readback else None
        _move(plan, intake, connection, readback, reporter)
        connection.flush()
        if readback:
            readback.check(connection, intake.chunk, plan.in_flight)
        connection.close()
    totals, stream_bytes = intake.totals()
    return totals_fields(totals, stream_bytes, intake.header, [])


def _await(data: int, connection: Connection, keepalive: float) -> None:
    """Return when the segment begins to come, which may take as long as a change of tapes."""
    poll = select.poll()
    poll.register(data, select.POLLIN)
    while not poll.poll(keepalive * 500):
        connection.stay_alive(keepalive)


def _move(
    plan: WritePlan,
    intake: Intake,
    connection: Connection,
    readback: Optional[Readback],
    reporter: Reporter,
) -> None:
    count = plan.decoders or DECODERS
    writes = WriteQueue(connection, plan.in_flight, plan.keepalive)
    decoding = Decoding(plan, intake, writes, readback, count)

    def tick() -> None:
        reporter.progress(writes.written_bytes, None, decoding.stored_bytes)

    tasks: list[Callable[[], None]] = [writes.run, *[decoding.run] * count]
    Crew(tasks).wait(PROGRESS_INTERVAL, tick)


class Decoding:
    """What the decoder threads share. `count` of them call `run`."""

    def __init__(
        self,
        plan: WritePlan,
        intake: Intake,
        writes: WriteQueue,
        readback: Optional[Readback],
        count: int,
    ):
        self.stored_bytes = 0
        self._drop_zeros = plan.drop_zeros
        self._pace = Pace(plan.rate)
        self._intake = intake
        self._writes = writes
        self._readback = readback
        self._left = count
        self._lock = threading.Lock()
        # Never runs dry: each thread holds one at most, each batch in the queue another.
        self._buffers = deque(
            memoryview(bytearray(intake.chunk)) for _ in range(count + plan.in_flight)
        )

    def run(self) -> None:
        """Take frames, check and decompress them, and hand them to the queue, until the end."""
        try:
            while self._next_frames():
                pass
        except Closed:
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
        writes: list[Write] = []
        raw = stored = 0
        borrowed = False
        for each in taken:
            frame = each.frame
            if self._readback:
                self._readback.remember(frame)
            if frame.kind != layout.ZERO:
                writes.append(Write(frame.offset, frame.length, each.unpack()))
                borrowed = borrowed or frame.kind == layout.STORED
                raw += frame.length
                stored += frame.stored_length
            elif not self._drop_zeros:
                writes.append(Write(frame.offset, frame.length, None))
        self._pace.wait(raw)
        if not borrowed:
            self._buffers.append(buffer)
        if writes:
            self._writes.put(writes, partial(self._buffers.append, buffer) if borrowed else None)
        with self._lock:
            self.stored_bytes += stored
        return True
