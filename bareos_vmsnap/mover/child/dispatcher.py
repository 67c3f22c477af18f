# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Hands pieces of work to threads, in disk order, a batch at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple, Optional

# While a batch is not done, at most this many later frames are handed out: so frames stay well
# inside the window of the format (stream.layout.WINDOW is 4096).
AHEAD = 1024
BATCH_PIECES = 32


class Piece(NamedTuple):
    """A part of the disk, in bytes, to be read or known to be zero."""

    offset: int
    length: int
    read: bool


class Batch(NamedTuple):
    """Pieces for one thread; those to be read fit in its buffer."""

    number: int
    pieces: list[Piece]

    @property
    def read_bytes(self) -> int:
        """Bytes to be read from each disk."""
        return sum(piece.length for piece in self.pieces if piece.read)


class Dispatcher:
    """Batches of at most `size` bytes to be read.

    A piece to be read has at most `size` bytes, and each `granule` of it may become a frame.
    """

    def __init__(self, pieces: Iterator[Piece], size: int, granule: int):
        self.done_bytes = 0
        self._pieces = pieces
        self._next = next(pieces, None)
        self._size = size
        self._granule = granule
        self._number = 0
        self._issued_frames = 0
        # Number of a batch under way: frames issued before it. The first one is the oldest.
        self._under_way: dict[int, int] = {}
        self._stopped = False
        self._changed = threading.Condition()

    def take(self, wait: bool) -> Optional[Batch]:
        """Return the next batch, or None if there is none.

        If the oldest batch under way is too far behind, `wait` for it or return None. A thread that
        has batches under way itself must not wait.
        """
        with self._changed:
            while True:
                if self._next is None or self._stopped:
                    return None
                if not self._too_far_ahead():
                    return self._collect()
                if not wait:
                    return None
                self._changed.wait()

    def done(self, batch: Batch) -> None:
        """Note that the frames of a batch have been written."""
        with self._changed:
            del self._under_way[batch.number]
            self.done_bytes += sum(piece.length for piece in batch.pieces)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out no more batches."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _too_far_ahead(self) -> bool:
        if not self._under_way:
            return False
        oldest = next(iter(self._under_way.values()))
        return self._issued_frames - oldest >= AHEAD

    def _collect(self) -> Batch:
        batch = Batch(self._number, [])
        self._under_way[self._number] = self._issued_frames
        self._number += 1
        room = self._size
        while self._next is not None and len(batch.pieces) < BATCH_PIECES:
            piece = self._next
            if piece.read:
                if piece.length > room:
                    break
                room -= piece.length
            batch.pieces.append(piece)
            self._issued_frames += -(-piece.length // self._granule) if piece.read else 1
            self._next = next(self._pieces, None)
        return batch
