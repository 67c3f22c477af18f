# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Joins ranges of zeros, so that a long one becomes one frame."""

from __future__ import annotations

from collections.abc import Iterator

from bareos_vmsnap.extents import Extent

MAX_RUNS = 64
# A run that waits longer than this many frames for its neighbours could fall behind the window of
# the format (stream.layout.WINDOW is 4096).
MAX_AGE = 512


class ZeroRuns:
    """Ranges that come almost in disk order; `now` is the number of frames written so far."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, int]] = {}  # start: end, `now` of its first range
        self._starts: dict[int, int] = {}  # end: start

    def add(self, start: int, length: int, now: int) -> None:
        """Add a range of bytes."""
        end = start + length
        born = now
        if start in self._starts:
            start = self._starts.pop(start)
            born = min(born, self._runs.pop(start)[1])
        if end in self._runs:
            end, other_born = self._runs.pop(end)
            born = min(born, other_born)
        self._runs[start] = (end, born)
        self._starts[end] = start

    def due(self, now: int) -> Iterator[Extent]:
        """Give up the runs that are too many or too old to wait for more."""
        while len(self._runs) > MAX_RUNS:
            yield self._give_up(min(self._runs))
        for start in [s for s, (_, born) in self._runs.items() if now - born >= MAX_AGE]:
            yield self._give_up(start)

    def rest(self) -> Iterator[Extent]:
        """Give up all runs, in disk order."""
        for start in sorted(self._runs):
            yield self._give_up(start)

    def _give_up(self, start: int) -> Extent:
        end, _ = self._runs.pop(start)
        del self._starts[end]
        return start, end - start
