# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Checks the records of a segment one by one, without doing any I/O."""

from __future__ import annotations

from typing import Any

import xxhash

from bareos_vmsnap.stream import container_header, frame, layout, payload
from bareos_vmsnap.stream.coverage import Coverage, CoverageError
from bareos_vmsnap.stream.errors import (
    FrameDamagedError,
    FrameOutOfBoundsError,
    FrameOutOfSequenceError,
    FrameOverlapError,
    PayloadDamagedError,
    TrailerDamagedError,
)
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.payload import Bytes, Payload, PayloadError


class SegmentParser:
    """Holds what a reader must remember between records; memory does not grow with the segment.

    `position` arguments are offsets in the stream, for messages.
    """

    def __init__(self, preamble: bytes, text: bytes):
        self.header: dict[str, Any] = container_header.unpack(preamble, text)
        self.capacity: int = self.header["capacity"]
        self.chunk: int = self.header["chunk"]
        self.frames = self.data_bytes = self.zero_bytes = self.stored_bytes = 0
        self._coverage = Coverage()
        self._digest = xxhash.xxh3_128(preamble + text)

    def frame(self, position: int, record: bytes) -> Frame:
        """Return the frame of the next record; its payload has yet to be checked."""
        found, problem = frame.unpack_frame(record)
        if problem:
            raise FrameDamagedError(position, problem)
        if found.sequence != self.frames:
            raise FrameOutOfSequenceError(
                position, f"frame number {found.sequence} where number {self.frames} was expected"
            )
        self._check_place(position, found)
        self._digest.update(frame.check_of(record))
        self.frames += 1
        if found.kind == layout.ZERO:
            self.zero_bytes += found.length
        else:
            self.data_bytes += found.length
            self.stored_bytes += found.stored_length
        return found

    def totals(self) -> Totals:
        """Return what the frames so far add up to."""
        return Totals(
            self.frames,
            self.data_bytes,
            self.zero_bytes,
            self.stored_bytes,
            self._digest.digest(),
        )

    def trailer(self, position: int, record: bytes) -> Totals:
        """Return the trailer's totals, checked against the frames. Raises TrailerDamagedError."""
        claimed, problem = frame.unpack_trailer(record)
        if problem:
            raise TrailerDamagedError(position, problem)
        for name, stated, counted in zip(Totals._fields, claimed, self.totals()):
            if stated != counted:
                raise TrailerDamagedError(
                    position, f"trailer tells {name} {_shown(stated)}, found {_shown(counted)}"
                )
        return claimed

    def _check_place(self, position: int, found: Frame) -> None:
        if found.kind != layout.ZERO and found.length > self.chunk:
            raise FrameOutOfBoundsError(
                position, f"frame of {found.length} bytes, a chunk has {self.chunk}"
            )
        if found.offset + found.length > self.capacity:
            raise FrameOutOfBoundsError(
                position,
                f"frame at offset {found.offset}, length {found.length}, reaches beyond the"
                f" capacity of {self.capacity}",
            )
        try:
            self._coverage.add(found.offset, found.length)
        except CoverageError as error:
            raise FrameOverlapError(position, str(error)) from error


def unpack(found: Frame, data: Bytes, position: int) -> Bytes:
    """Return the raw bytes of a data frame, or raise PayloadDamagedError; safe in any thread."""
    packed = Payload(found.kind, data, found.length, found.raw_sum, found.stored_sum)
    try:
        return payload.unpack(packed)
    except PayloadError as error:
        raise PayloadDamagedError(
            position, f"frame number {found.sequence} for offset {found.offset}: {error}"
        ) from error


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
