# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which bytes of the disk the frames so far have covered, in bounded memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from bareos_vmsnap.stream import layout


class CoverageError(ValueError):
    """A frame overlaps an earlier one, or is too far behind the others."""


class Coverage:
    """Finds overlaps among frames that come nearly in disk order.

    Exact for the last `window` frames; everything below the highest end of older ones counts as
    covered, which the format's rule on frame order allows.
    """

    def __init__(self, window: int = layout.WINDOW):
        self._window = window
        self._recent: deque[int] = deque()
        # Disjoint, so both ascend in step.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._settled = 0

    def add(self, offset: int, length: int) -> None:
        """Note a frame (bytes, length at least 1). Raises CoverageError if it may not be there."""
        end = offset + length
        if offset < self._settled:
            raise CoverageError(
                f"frame at offset {offset} comes after {self._window} or more frames that it should"
                f" precede or overlaps them (all up to {self._settled} is settled)"
            )
        place = bisect_left(self._starts, offset)
        if place > 0 and self._ends[place - 1] > offset:
            self._refuse(offset, length, place - 1)
        if place < len(self._starts) and self._starts[place] < end:
            self._refuse(offset, length, place)
        self._starts.insert(place, offset)
        self._ends.insert(place, end)
        self._recent.append(offset)
        if len(self._recent) >= self._window:
            self._settle(self._recent.popleft())

    def _settle(self, offset: int) -> None:
        place = bisect_left(self._starts, offset)
        self._settled = max(self._settled, self._ends[place])
        del self._starts[place], self._ends[place]

    def _refuse(self, offset: int, length: int, place: int) -> None:
        raise CoverageError(
            f"frame at offset {offset}, length {length}, overlaps the one"
            f" from {self._starts[place]} to {self._ends[place]}"
        )
