# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segment that several threads take from one channel, a frame at a time."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from bareos_vmsnap.mover.failures import CapacityMismatch, WrongSegment
from bareos_vmsnap.stream import layout, parser
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.payload import Bytes
from bareos_vmsnap.stream.reader import SegmentReader

_DRAIN = 256 << 10


class Taken(NamedTuple):
    """A frame with its stored bytes, still to be checked; `position` is where they begin."""

    frame: Frame
    stored: memoryview
    position: int

    def unpack(self) -> Bytes:
        """Return the raw bytes, which may be the stored ones. Raises PayloadDamaged."""
        return parser.unpack(self.frame, self.stored, self.position)


class Intake:
    """Reads the header at once. Raises SegmentError."""

    def __init__(self, descriptor: int):
        self._reader = SegmentReader(io.FileIO(descriptor, closefd=False))
        self._turn = threading.Lock()
        self.header = self._reader.header
        self.chunk = self._reader.chunk

    def expect(self, fields: Mapping[str, Any], capacity: int) -> None:
        """Raise unless the header has these fields, and its disk fits in `capacity` bytes."""
        for key, value in fields.items():
            if key not in self.header:
                raise WrongSegment(f"segment has no {key} in its header, expected {value!r}")
            if self.header[key] != value:
                raise WrongSegment(f"segment has {key} {self.header[key]!r}, expected {value!r}")
        if self._reader.capacity > capacity:
            raise CapacityMismatch(
                f"segment is of a disk of {self._reader.capacity} bytes, the target has {capacity}"
            )

    def take(self, buffer: memoryview) -> Optional[Taken]:
        """Return the next frame, its stored bytes in the buffer; None once the segment is whole."""
        reader = self._reader
        with self._turn:
            frame = reader.next_frame()
            if frame is None:
                return None
            position = reader.position
            stored = buffer[:0]
            if frame.kind != layout.ZERO:
                stored = reader.read_payload(frame, buffer)
        return Taken(frame, stored, position)

    def totals(self) -> tuple[Totals, int]:
        """Return the totals of the trailer and the size of the segment, once it is whole."""
        assert self._reader.totals is not None, "the segment was not read to its end"
        return self._reader.totals, self._reader.position


def drain(descriptor: int) -> None:
    """Read and discard to the end of the stream, so that whoever writes it can finish."""
    while os.read(descriptor, _DRAIN):
        pass
