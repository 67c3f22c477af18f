# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Builds the records of a segment, without doing any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xxhash

from bareos_vmsnap.stream import container_header, frame, layout
from bareos_vmsnap.stream.coverage import Coverage
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.payload import Payload


class SegmentBuilder:
    """Numbers and checksums frames in the order of the calls; not thread-safe.

    Raises ValueError rather than build a segment that a reader would refuse (CoverageError for
    frames that overlap or come in an order the format does not allow).
    """

    def __init__(self, fields: Mapping[str, Any]):
        self.header = container_header.pack(fields)
        self.frames = self.data_bytes = self.zero_bytes = self.stored_bytes = 0
        self._capacity: int = fields["capacity"]
        self._chunk: int = fields["chunk"]
        self._coverage = Coverage()
        self._digest = xxhash.xxh3_128(self.header)

    def data(self, offset: int, payload: Payload) -> bytes:
        """Return the frame head that goes before the payload's data."""
        if payload.length > self._chunk:
            raise ValueError(f"frame of {payload.length} bytes, chunk is {self._chunk}")
        stored_length = len(payload.data)
        record = self._record(
            payload.kind, offset, payload.length, stored_length, payload.raw_sum, payload.stored_sum
        )
        self.data_bytes += payload.length
        self.stored_bytes += stored_length
        return record

    def zero(self, offset: int, length: int) -> bytes:
        """Return the frame for `length` zero bytes, which may exceed a chunk."""
        record = self._record(layout.ZERO, offset, length, 0, 0, 0)
        self.zero_bytes += length
        return record

    def totals(self) -> Totals:
        """Return what has been built so far."""
        return Totals(
            self.frames,
            self.data_bytes,
            self.zero_bytes,
            self.stored_bytes,
            self._digest.digest(),
        )

    def trailer(self) -> bytes:
        """Return the trailer, the last bytes of the segment."""
        return frame.pack_trailer(self.totals())

    def _record(
        self, kind: int, offset: int, length: int, stored: int, raw_sum: int, stored_sum: int
    ) -> bytes:
        if offset < 0 or length < 1 or offset + length > self._capacity:
            raise ValueError(
                f"frame at offset {offset}, length {length}, capacity is {self._capacity}"
            )
        self._coverage.add(offset, length)
        record = frame.pack_frame(
            Frame(kind, self.frames, offset, length, stored, raw_sum, stored_sum)
        )
        self._digest.update(frame.check_of(record))
        self.frames += 1
        return record
