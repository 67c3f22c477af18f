# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segment that several threads write into one pipe."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional

from bareos_vmsnap.mover.failures import AccountingFailure
from bareos_vmsnap.mover.splicing import PipeWriter
from bareos_vmsnap.mover.zeros import ZeroRuns
from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.builder import SegmentBuilder
from bareos_vmsnap.stream.frame import Totals
from bareos_vmsnap.stream.payload import Bytes, Payload


class Part(NamedTuple):
    """A range of the disk with its data, or None for zeros. In bytes."""

    offset: int
    length: int
    payload: Optional[Payload]


class SegmentPipe:
    """Writes whole frames, in the order of the calls; zeros may wait for their neighbours."""

    def __init__(self, descriptor: int, header: Mapping[str, Any]):
        self._pipe = PipeWriter(descriptor)
        self._builder = SegmentBuilder(header)
        self._zeros = ZeroRuns()
        self._lock = threading.Lock()
        self._header_length = len(self._builder.header) - layout.PREAMBLE.size
        self._pipe.write([self._builder.header])

    @property
    def stored_bytes(self) -> int:
        """Bytes of data written so far, as stored."""
        return self._builder.stored_bytes

    def write(self, parts: Iterable[Part], release: Optional[Callable[[], None]] = None) -> None:
        """Write some parts; safe in any thread.

        Their data must not change until `release` is called, now or by a later write.
        """
        builder = self._builder
        with self._lock:
            buffers: list[Bytes] = []
            for offset, length, payload in parts:
                if payload is None:
                    self._zeros.add(offset, length, builder.frames)
                else:
                    buffers += (builder.data(offset, payload), payload.data)
            buffers += [builder.zero(*run) for run in self._zeros.due(builder.frames)]
            self._pipe.write(buffers, release)

    def finish(self, planned: Optional[int] = None) -> tuple[Totals, int]:
        """Write what waits and the trailer; return the totals and the size of the segment.

        Raises AccountingFailure, and leaves the segment truncated, unless its frames cover as many
        bytes as `planned`, where that is known.
        """
        with self._lock:
            self._pipe.write([self._builder.zero(*run) for run in self._zeros.rest()])
            totals = self._builder.totals()
            if planned not in (None, totals.data_bytes + totals.zero_bytes):
                raise AccountingFailure(f"segment holds {totals}, planned were {planned} bytes")
            self._pipe.write([self._builder.trailer()])
        size = layout.stream_size(self._header_length, totals.frames, totals.stored_bytes)
        return totals, size
