# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A thread that reads batches, and packs and writes what goes into the segment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from bareos_vmsnap.mover.child.dispatcher import Batch, Dispatcher, Piece
from bareos_vmsnap.mover.child.memory import Buffer
from bareos_vmsnap.mover.child.nbd_connection import Connection, Request
from bareos_vmsnap.mover.child.rate_limiter import RateLimiter
from bareos_vmsnap.mover.child.segment_channel import Part, SegmentChannel


class Selection(Protocol):
    """Decides what of a piece goes into the segment; see the module selection."""

    def parts(self, piece: Piece, buffers: list[Buffer], place: int) -> Iterator[Part]: ...


class Slot:
    """Room for one batch under way: a buffer for each connection, with the same layout."""

    def __init__(self, connections: Sequence[Connection], size: int):
        self.buffers = [Buffer(size) for _ in connections]
        self.requests: list[list[Request]] = [[] for _ in connections]
        self.batch = Batch(-1, [])

    def start(self, batch: Batch, connections: Sequence[Connection]) -> None:
        """Request all pieces of a batch from the servers at once."""
        self.batch = batch
        for connection, buffer, requests in zip(connections, self.buffers, self.requests):
            requests.clear()
            for piece, place in self.places():
                if piece.read:
                    part = buffer.view[place : place + piece.length]
                    requests += connection.start_read(part, piece.offset)

    def places(self) -> Iterator[tuple[Piece, int]]:
        """Yield each piece with its place in the buffers."""
        place = 0
        for piece in self.batch.pieces:
            yield piece, place
            if piece.read:
                place += piece.length


class ReadWorker:
    """Owns its connections (source, and base if there is one) and `depth` slots of `size` bytes."""

    def __init__(
        self,
        connections: Sequence[Connection],
        dispatcher: Dispatcher,
        selection: Selection,
        segment: SegmentChannel,
        rate_limiter: RateLimiter,
        depth: int,
        size: int,
    ):
        self._connections = connections
        self._dispatcher = dispatcher
        self._selection = selection
        self._segment = segment
        self._rate_limiter = rate_limiter
        self._free = [Slot(connections, size) for _ in range(depth)]

    def run(self) -> None:
        """Work until there is nothing left to take."""
        under_way: deque[Slot] = deque()
        while True:
            while self._free:
                batch = self._dispatcher.take(wait=not under_way)
                if batch is None:
                    break
                self._rate_limiter.wait(batch.read_bytes)
                slot = self._free.pop()
                slot.start(batch, self._connections)
                under_way.append(slot)
            if not under_way:
                return
            slot = under_way.popleft()
            for connection, requests in zip(self._connections, slot.requests):
                connection.finish(requests)
            self._segment.write(self._parts(slot))
            self._dispatcher.done(slot.batch)
            self._free.append(slot)

    def _parts(self, slot: Slot) -> list[Part]:
        parts: list[Part] = []
        for piece, place in slot.places():
            if piece.read:
                parts += self._selection.parts(piece, slot.buffers, place)
            else:
                parts.append(Part(piece.offset, piece.length, None))
        return parts
