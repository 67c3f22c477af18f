# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A segment that several threads write to one channel."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

from bareos_vmsnap.mover.child.errors import AccountingError
from bareos_vmsnap.mover.child.zeros import ZeroRuns
from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.builder import SegmentBuilder
from bareos_vmsnap.stream.frame import Totals
from bareos_vmsnap.stream.payload import Bytes, Payload

_IOV_MAX = 1024


class Part(NamedTuple):
    """A range of the disk, in bytes, with its data, or None for zeros."""

    offset: int
    length: int
    payload: Optional[Payload]


class SegmentChannel:
    """Writes whole frames, in the order of the calls; zeros may wait for their neighbours."""

    def __init__(self, descriptor: int, header: Mapping[str, Any]):
        self._descriptor = descriptor
        self._builder = SegmentBuilder(header)
        self._zeros = ZeroRuns()
        self._lock = threading.Lock()
        self._header_length = len(self._builder.header) - layout.PREAMBLE.size
        self._send([self._builder.header])

    def write(self, parts: Iterable[Part]) -> None:
        """Write some parts, which may change afterwards; safe in any thread. Raises OSError."""
        builder = self._builder
        with self._lock:
            buffers: list[Bytes] = []
            for offset, length, payload in parts:
                if payload is None:
                    self._zeros.add(offset, length, builder.frames)
                else:
                    buffers += (builder.data(offset, payload), payload.data)
            buffers += [builder.zero(*run) for run in self._zeros.due(builder.frames)]
            self._send(buffers)

    def finish(self, planned: Optional[int] = None) -> tuple[Totals, int]:
        """Write waiting zeros and the trailer; return the totals and the size of the segment.

        Raises AccountingError, and leaves the segment truncated, unless its frames cover `planned`
        bytes, if that is known.
        """
        with self._lock:
            self._send([self._builder.zero(*run) for run in self._zeros.rest()])
            totals = self._builder.totals()
            if planned not in (None, totals.data_bytes + totals.zero_bytes):
                raise AccountingError(f"segment holds {totals}, planned were {planned} bytes")
            self._send([self._builder.trailer()])
        size = layout.stream_size(self._header_length, totals.frames, totals.stored_bytes)
        return totals, size

    def _send(self, data: list[Bytes]) -> None:
        left = [memoryview(each) for each in data]
        first = 0
        while first < len(left):
            written = os.writev(self._descriptor, left[first : first + _IOV_MAX])
            while first < len(left) and written >= len(left[first]):
                written -= len(left[first])
                first += 1
            if written:
                left[first] = left[first][written:]
