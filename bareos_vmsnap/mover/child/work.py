# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What each method reads: from extents to pieces of work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bareos_vmsnap import extents, method_names
from bareos_vmsnap.extents import Extent
from bareos_vmsnap.mover.child.dispatcher import Piece
from bareos_vmsnap.mover.plan import ReadPlan


class Work:
    """The part of the disk that a plan covers; computed on each call, not held in memory.

    `planned` are the plan's extents, `allocated` those that the servers of source and base do not
    promise to read as zeros; all are sorted. `block` is the least that can be read, in bytes.
    """

    def __init__(
        self,
        plan: ReadPlan,
        block: int,
        planned: Iterable[Extent],
        allocated: Sequence[Iterable[Extent]],
    ):
        self._plan = plan
        self._block = plan.granularity if plan.compares else block
        self._sources = [planned, *allocated]

    def pieces(self) -> Iterator[Piece]:
        """Yield pieces in disk order, at most a chunk each unless known to be zero."""
        chunks = extents.split(self._to_read(), self._plan.chunk)
        if self._plan.method != method_names.FULL:
            return (Piece(start, length, True) for start, length in chunks)
        return _with_gaps(chunks, self._plan.capacity)

    def total(self) -> int:
        """Return the number of bytes in all pieces."""
        if self._plan.method == method_names.FULL:
            return self._plan.capacity
        return extents.total(self._to_read())

    def _to_read(self) -> Iterator[Extent]:
        return extents.align(extents.union(*self._sources), self._block, self._plan.capacity)


def _with_gaps(chunks: Iterable[Extent], capacity: int) -> Iterator[Piece]:
    """Yield chunks to read, and the gaps between them as pieces known to be zero."""
    end = 0
    for start, length in chunks:
        if start > end:
            yield Piece(end, start - end, False)
        yield Piece(start, length, True)
        end = start + length
    if end < capacity:
        yield Piece(end, capacity - end, False)
