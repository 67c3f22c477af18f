# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Extent arithmetic against a naive model: a set of byte numbers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap import extents
from bareos_vmsnap.extents import Extent

anything = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12)
ordered = anything.map(sorted)
blocks = st.integers(1, 17)
capacities = st.integers(0, 90)


def members(source: Iterable[Extent]) -> set[int]:
    return {byte for start, length in source for byte in range(start, start + length)}


def assert_normal(result: list[Extent]) -> None:
    assert all(length > 0 for _, length in result)
    assert all(a[0] + a[1] < b[0] for a, b in zip(result, result[1:]))


@given(ordered)
def test_merge_and_total(source: list[Extent]) -> None:
    result = list(extents.merge(source))
    assert_normal(result)
    assert members(result) == members(source)
    assert extents.total(source) == len(members(source))


@given(ordered, ordered, ordered)
def test_union(one: list[Extent], two: list[Extent], three: list[Extent]) -> None:
    result = list(extents.union(one, two, three))
    assert_normal(result)
    assert members(result) == members(one) | members(two) | members(three)


@given(ordered, ordered)
def test_subtract(one: list[Extent], two: list[Extent]) -> None:
    result = list(extents.subtract(one, two))
    assert_normal(result)
    assert members(result) == members(one) - members(two)


@given(ordered, capacities)
def test_complement_and_clip(source: list[Extent], capacity: int) -> None:
    inside = set(range(capacity))
    outside = list(extents.complement(source, capacity))
    clipped = list(extents.clip(source, capacity))
    assert_normal(outside)
    assert_normal(clipped)
    assert members(outside) == inside - members(source)
    assert members(clipped) == inside & members(source)


@given(ordered, blocks, capacities)
def test_align(source: list[Extent], block: int, capacity: int) -> None:
    result = list(extents.align(source, block, capacity))
    assert_normal(result)
    touched = {byte // block for byte in members(source)}
    assert members(result) == {byte for byte in range(capacity) if byte // block in touched}


@given(ordered, blocks)
def test_split_cuts_on_the_grid(source: list[Extent], size: int) -> None:
    pieces = list(extents.split(source, size))
    assert members(pieces) == members(source)
    assert all(start // size == (start + length - 1) // size for start, length in pieces)
    for start, length in pieces:
        end = start + length
        assert end % size == 0 or end not in members(source)


@pytest.mark.parametrize("bad", [[(5, 1), (4, 1)], [(-1, 2)], [(0, -1)]])
def test_bad_input_is_refused(bad: list[Extent]) -> None:
    with pytest.raises(ValueError):
        list(extents.merge(bad))


def test_extents_are_streamed() -> None:
    def many() -> Iterator[Extent]:
        return ((number * 131072, 65536) for number in range(100_000))

    tracemalloc.start()
    try:
        aligned = extents.align(extents.union(many(), [(0, 70000)]), 4096, 1 << 50)
        pieces = sum(1 for _ in extents.split(aligned, 1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert pieces == 100_000
    assert peak < 1 << 20
