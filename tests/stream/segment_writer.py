# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Writes a segment to anything with `write`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Protocol

from bareos_vmsnap.stream import layout, payload
from bareos_vmsnap.stream.builder import SegmentBuilder
from bareos_vmsnap.stream.frame import Totals
from bareos_vmsnap.stream.payload import Bytes


class Sink(Protocol):
    """What a writer writes to: binary files, buffered or not."""

    def write(self, data: Bytes, /) -> Optional[int]: ...


class SegmentWriter:
    """Writes the header at once, then frames one by one, and the trailer at `finish`.

    Without `finish` the segment stays truncated, which readers notice: so a writer that fails
    just stops. Raises as SegmentBuilder does, and what the sink raises.
    """

    def __init__(self, sink: Sink, header: Mapping[str, Any]):
        self._sink = sink
        self._builder = SegmentBuilder(header)
        self._write(self._builder.header)

    def data(self, offset: int, raw: Bytes, compression: layout.Compression = "lz4") -> None:
        """Write one data frame of at most a chunk."""
        packed = payload.pack(raw, compression)
        self._write(self._builder.data(offset, packed))
        self._write(packed.data)

    def zero(self, offset: int, length: int) -> None:
        """Write a zero frame of any length."""
        self._write(self._builder.zero(offset, length))

    def finish(self) -> Totals:
        """Write the trailer and return what the segment holds; the sink stays open."""
        self._write(self._builder.trailer())
        return self._builder.totals()

    def _write(self, data: Bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = self._sink.write(rest)
            # Buffered files may return None or all; unbuffered ones may write less.
            rest = rest[len(rest) if written is None else written :]
