# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Arithmetic on byte ranges of a disk.

An extent is `(start, length)` in bytes. A *sorted* sequence of extents ascends by start; its
extents may touch, overlap or be empty. Functions that take sorted input read it once, hold a few
extents at a time, and yield a *normal* sequence: ascending, disjoint, not touching, none empty.
They raise ValueError on negative numbers and on input that is not sorted.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

Extent = tuple[int, int]

# Bytes: the block size CBT is known to track (docs/how-it-works.md), and that of comparisons.
CBT_BLOCK = 65536


def merge(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Yield sorted extents in normal form."""
    start = end = -1
    last = 0
    for next_start, length in extents:
        if next_start < last or length < 0:
            raise ValueError(_problem(next_start, length, last))
        last = next_start
        if length == 0:
            continue
        if next_start <= end:
            end = max(end, next_start + length)
            continue
        if end > start:
            yield start, end - start
        start, end = next_start, next_start + length
    if end > start:
        yield start, end - start


def union(*sources: Iterable[Extent]) -> Iterator[Extent]:
    """Yield the bytes that any of the sorted sources contains."""
    return merge(heapq.merge(*sources))


def subtract(one: Iterable[Extent], other: Iterable[Extent]) -> Iterator[Extent]:
    """Yield the bytes of the first sorted source that the second one does not contain."""
    others = merge(other)
    current = next(others, None)
    for start, length in merge(one):
        end = start + length
        while current is not None and current[0] < end:
            other_end = current[0] + current[1]
            if current[0] > start:
                yield start, current[0] - start
            start = max(start, other_end)
            if other_end > end:
                break
            current = next(others, None)
        if start < end:
            yield start, end - start


def complement(extents: Iterable[Extent], capacity: int) -> Iterator[Extent]:
    """Yield the bytes below `capacity` that the sorted extents do not cover."""
    return subtract([(0, capacity)], extents)


def clip(extents: Iterable[Extent], capacity: int) -> Iterator[Extent]:
    """Yield the part of the sorted extents that lies below `capacity`."""
    for start, length in merge(extents):
        if start >= capacity:
            return
        yield start, min(length, capacity - start)


def align(extents: Iterable[Extent], block: int, capacity: int) -> Iterator[Extent]:
    """Widen sorted extents to multiples of `block` bytes and clip them to `capacity`."""
    return clip(
        ((s - s % block, _up(s + n, block) - (s - s % block)) for s, n in merge(extents)), capacity
    )


def split(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """Cut sorted extents at multiples of `size`, so that no piece is longer; pieces may touch."""
    for start, length in merge(extents):
        end = start + length
        while start < end:
            step = min(end, start - start % size + size) - start
            yield start, step
            start += step


def total(extents: Iterable[Extent]) -> int:
    """Return the number of bytes in the sorted extents, counting overlaps once."""
    return sum(length for _, length in merge(extents))


def _up(number: int, block: int) -> int:
    return -(-number // block) * block


def _problem(start: int, length: int, last: int) -> str:
    if start < 0 or length < 0:
        return f"extent with a negative number: start {start}, length {length}"
    return f"extents are not sorted: start {start} comes after {last}"
