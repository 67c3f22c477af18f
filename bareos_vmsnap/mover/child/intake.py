# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A segment that several threads take from one channel, a few frames at a time."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from bareos_vmsnap.mover.child.errors import CapacityError, WrongSegmentError
from bareos_vmsnap.stream import layout, parser
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.payload import Bytes
from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.tree.segment_header import SegmentIdentity

# The most frames that a thread takes in one turn: for small ones, as changed block tracking gives
# them, a turn costs more than the frame itself.
BATCH = 32
_READ = 64 << 10  # bytes read at once if fewer are requested
_DRAIN = 256 << 10


class TakenFrame(NamedTuple):
    """A frame with its unchecked stored bytes; `position` is where they begin in the segment."""

    frame: Frame
    stored: memoryview
    position: int

    def unpack(self) -> Bytes:
        """Return the raw bytes, which may be the stored ones. Raises PayloadDamagedError."""
        return parser.unpack(self.frame, self.stored, self.position)


class Intake:
    """A segment; its header is read at once. Raises SegmentError."""

    def __init__(self, descriptor: int):
        source = io.BufferedReader(io.FileIO(descriptor, closefd=False), _READ)
        self._reader = SegmentReader(source)
        self._next: Optional[Frame] = None  # its payload is still to be read
        self._turn = threading.Lock()
        self.header = self._reader.header
        self.chunk = self._reader.chunk

    def expect(self, identity: Optional[SegmentIdentity], capacity: int) -> None:
        """Raise unless the segment is this one (None: any) and its disk fits in `capacity` bytes."""
        if identity is not None:
            _compare(identity.to_json(), self.header)
        if self._reader.capacity > capacity:
            raise CapacityError(
                f"segment is of a disk of {self._reader.capacity} bytes, the target has {capacity}"
            )

    def take(self, buffer: memoryview) -> list[TakenFrame]:
        """Return the next frames, their stored bytes in the buffer; none at the segment's end.

        Their raw bytes, without zeros, are at most a chunk, and the buffer must be that large.
        """
        reader = self._reader
        taken: list[TakenFrame] = []
        room = self.chunk
        with self._turn:
            while len(taken) < BATCH:
                frame = self._next or reader.next_frame()
                self._next = None
                if frame is None:
                    break
                raw = 0 if frame.kind == layout.ZERO else frame.length
                if raw > room:
                    self._next = frame
                    break
                room -= raw
                position = reader.position
                stored = reader.read_payload(frame, buffer)
                buffer = buffer[len(stored) :]
                taken.append(TakenFrame(frame, stored, position))
                if not room:
                    break
        return taken

    def totals(self) -> tuple[Totals, int]:
        """Return the trailer's totals and the segment's size, once it is read to its end."""
        assert self._reader.totals is not None, "the segment was not read to its end"
        return self._reader.totals, self._reader.position


def _compare(expected: Mapping[str, Any], found: Mapping[str, Any], within: str = "") -> None:
    for key, value in expected.items():
        place = f"{within}{key}"
        if key not in found:
            raise WrongSegmentError(f"segment has no {place} in its header, expected {value!r}")
        if isinstance(value, Mapping) and isinstance(found[key], Mapping):
            _compare(value, found[key], f"{place}.")
        elif found[key] != value:
            raise WrongSegmentError(f"segment has {place} {found[key]!r}, expected {value!r}")


def drain(descriptor: int) -> None:
    """Read and discard the rest of the stream, so that its writer can finish."""
    while os.read(descriptor, _DRAIN):
        pass
