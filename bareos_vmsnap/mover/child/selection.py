# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which of the bytes that were read go into the segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from bareos_vmsnap.mover.child.dispatcher import Piece
from bareos_vmsnap.mover.child.memory import Buffer
from bareos_vmsnap.mover.child.segment_channel import Part
from bareos_vmsnap.stream.payload import Payload

Packer = Callable[[memoryview], Payload]


class Whole:
    """Everything that was read; zeros only with `keep_zeros`."""

    def __init__(self, pack: Packer, keep_zeros: bool):
        self._pack = pack
        self._keep_zeros = keep_zeros

    def parts(self, piece: Piece, buffers: list[Buffer], place: int) -> Iterator[Part]:
        """Yield the parts to write of a piece that lies at `place` in the buffer."""
        [buffer] = buffers
        if buffer.is_zero(place, piece.length):
            if self._keep_zeros:
                yield Part(piece.offset, piece.length, None)
            return
        raw = buffer.view[place : place + piece.length]
        yield Part(piece.offset, piece.length, self._pack(raw))


class Different:
    """What differs between the source and its base, in granules of `granularity` bytes."""

    def __init__(self, pack: Packer, granularity: int):
        self._pack = pack
        self._granularity = granularity

    def parts(self, piece: Piece, buffers: list[Buffer], place: int) -> Iterator[Part]:
        """Yield the parts to write of a piece that lies at `place` in both buffers."""
        source, base = buffers
        if source.equals(base, place, piece.length):
            return
        end = place + piece.length
        start = place
        while start < end:
            state = self._state(source, base, start, end)
            stop = start + self._granularity
            while stop < end and self._state(source, base, stop, end) == state:
                stop += self._granularity
            stop = min(stop, end)
            offset, length = piece.offset + start - place, stop - start
            if state == "zero":
                yield Part(offset, length, None)
            elif state == "data":
                yield Part(offset, length, self._pack(source.view[start:stop]))
            start = stop

    def _state(self, source: Buffer, base: Buffer, start: int, end: int) -> str:
        length = min(self._granularity, end - start)
        if source.equals(base, start, length):
            return "same"
        return "zero" if source.is_zero(start, length) else "data"
