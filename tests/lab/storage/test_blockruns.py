# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs of blocks, against sets of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsnap_lab.storage.blockruns import Run, join

runs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12)


def members(source: list[Run]) -> set[int]:
    return {block for first, count in source for block in range(first, first + count)}


@given(st.lists(runs, max_size=4))
def test_join_has_what_any_source_has(sources: list[list[Run]]) -> None:
    result = list(join(*sources))
    assert members(result) == set().union(*map(members, sources))
    assert all(count > 0 for _, count in result)
    assert all(a[0] + a[1] < b[0] for a, b in zip(result, result[1:]))


@pytest.mark.parametrize("bad", [(-1, 2), (1, -1)])
def test_negative_numbers_are_refused(bad: Run) -> None:
    with pytest.raises(ValueError, match="negative"):
        list(join([bad]))
