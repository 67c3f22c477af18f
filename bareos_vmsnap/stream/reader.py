# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reads a segment from anything with `readinto` or `read`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, Optional

from bareos_vmsnap.stream import container_header, frame, layout, parser
from bareos_vmsnap.stream.errors import TrailingGarbageError, TruncatedError
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.parser import SegmentParser
from bareos_vmsnap.stream.payload import Bytes


class SegmentReader:
    """Reads the header at once, then frame by frame; every rule of the format is checked.

    Iterate for frames with their raw data, or call `next_frame` and `read_payload` to say where
    stored data goes. A segment is whole only once `totals` is set, after the last frame.
    Raises SegmentDamagedError, SegmentTooNewError, and what the source raises.
    """

    def __init__(self, source: Any):
        self._readinto: Callable[[memoryview], Optional[int]] = _readinto_of(source)
        self.position = 0
        self.totals: Optional[Totals] = None
        preamble = self._read(layout.PREAMBLE.size, "header")
        self._parser = SegmentParser(
            preamble, self._read(container_header.text_length(preamble), "header")
        )
        self.header = self._parser.header
        self.capacity = self._parser.capacity
        self.chunk = self._parser.chunk

    def next_frame(self) -> Optional[Frame]:
        """Return the next frame, whose payload must be read next, or None at the end."""
        if self.totals is not None:
            return None
        position = self.position
        record = self._read(layout.RECORD, "frame or trailer")
        if not frame.is_trailer(record):
            return self._parser.frame(position, record)
        totals = self._parser.trailer(position, record)
        if self._readinto(memoryview(bytearray(1))):
            raise TrailingGarbageError(self.position, "data after the trailer")
        self.totals = totals
        return None

    def read_payload(self, found: Frame, buffer: memoryview) -> memoryview:
        """Read the stored bytes of a frame into a buffer of at least a chunk; return that part."""
        part = buffer[: found.stored_length]
        self._fill(part, f"data of frame number {found.sequence}")
        return part

    def __iter__(self) -> Iterator[tuple[Frame, Optional[Bytes]]]:
        """Yield each frame with its raw bytes, valid until the next one; None for zeros."""
        buffer = bytearray()
        while True:
            found = self.next_frame()
            if found is None:
                return
            if found.kind == layout.ZERO:
                yield found, None
                continue
            if len(buffer) < found.stored_length:
                buffer = bytearray(found.stored_length)
            position = self.position
            stored = self.read_payload(found, memoryview(buffer))
            yield found, parser.unpack(found, stored, position)

    def _read(self, size: int, what: str) -> bytes:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), what)
        return bytes(buffer)

    def _fill(self, part: memoryview, what: str) -> None:
        filled = 0
        while filled < len(part):
            count = self._readinto(part[filled:])
            if not count:
                raise TruncatedError(
                    self.position,
                    f"end of the stream, {len(part) - filled} bytes of {what} missing",
                )
            filled += count
            self.position += count


def _readinto_of(source: Any) -> Callable[[memoryview], Optional[int]]:
    if hasattr(source, "readinto"):
        return source.readinto

    def readinto(part: memoryview) -> int:
        data = source.read(len(part))
        part[: len(data)] = data
        return len(data)

    return readinto
