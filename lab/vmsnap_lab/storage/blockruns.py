# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Arithmetic on runs of blocks: the lab's own, so that it does not depend on code under test.

A run is (first, count). Results ascend, neither overlapping nor touching, none empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Run = tuple[int, int]


def join(*sources: Iterable[Run]) -> Iterator[Run]:
    """Yield the blocks that any source has; runs may come in any order.

    A sweep over all ends: each run adds 1 at its first block and takes it off behind its last one.
    Raises ValueError on a negative number.
    """
    steps: dict[int, int] = {}
    for source in sources:
        for first, count in source:
            if first < 0 or count < 0:
                raise ValueError(f"a run of blocks with a negative number: {first}, {count}")
            steps[first] = steps.get(first, 0) + 1
            steps[first + count] = steps.get(first + count, 0) - 1
    depth = begin = 0
    for block in sorted(steps):
        if depth == 0:
            begin = block
        depth += steps[block]
        if depth == 0 and block > begin:
            yield begin, block - begin
