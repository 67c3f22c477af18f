# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reads back what was written, and compares it with the checksums of the segment's frames."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

from bareos_vmsnap import extents
from bareos_vmsnap.mover.child.errors import ReadbackError
from bareos_vmsnap.mover.child.memory import Buffer
from bareos_vmsnap.mover.child.nbd_connection import Connection, Request
from bareos_vmsnap.mover.child.record_spool import RecordSpool
from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.frame import Frame


class ExpectedRange(NamedTuple):
    """A range of the disk, in bytes, that must be zero, or have this xxh3_64."""

    offset: int
    length: int
    is_zero: bool
    raw_sum: int


class Readback:
    """Remembers frames, on disk if they are many, and checks them once all are written."""

    def __init__(self) -> None:
        self._frames = RecordSpool(struct.Struct("<QQ?Q"))
        self._lock = threading.Lock()

    def remember(self, frame: Frame) -> None:
        """Note a frame; safe in any thread."""
        with self._lock:
            self._frames.append(
                frame.offset, frame.length, frame.kind == layout.ZERO, frame.raw_sum
            )

    def check(self, connection: Connection, chunk: int, depth: int) -> None:
        """Read all noted frames, `depth` requests at a time. Raises ReadbackError, NbdError."""
        under_way: deque[tuple[ExpectedRange, Buffer, list[Request]]] = deque()
        free = [Buffer(chunk) for _ in range(depth)]
        for expected in self._ranges(chunk):
            if not free:
                free.append(_finish(connection, *under_way.popleft()))
            buffer = free.pop()
            requests = connection.start_read(buffer.view[: expected.length], expected.offset)
            under_way.append((expected, buffer, requests))
        while under_way:
            _finish(connection, *under_way.popleft())

    def _ranges(self, chunk: int) -> Iterator[ExpectedRange]:
        for offset, length, is_zero, raw_sum in self._frames:
            if is_zero:
                for start, part in extents.split([(offset, length)], chunk):
                    yield ExpectedRange(start, part, True, 0)
            else:
                yield ExpectedRange(offset, length, False, raw_sum)


def _finish(
    connection: Connection, expected: ExpectedRange, buffer: Buffer, requests: list[Request]
) -> Buffer:
    connection.finish(requests)
    if expected.is_zero:
        right = buffer.is_zero(0, expected.length)
    else:
        right = xxhash.xxh3_64_intdigest(buffer.view[: expected.length]) == expected.raw_sum
    if not right:
        raise ReadbackError(
            f"{connection.endpoint.name} does not give back what was written: {expected.length}"
            f" bytes at offset {expected.offset} differ"
        )
    return buffer
