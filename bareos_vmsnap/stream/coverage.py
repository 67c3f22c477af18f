# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which bytes of the disk the frames so far have covered, in bounded memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
        self._recent_ends: deque[int] = deque()
        # Disjoint, so both ascend in step. Settled ranges are removed only now and then: removing
        # one from the front costs as much as removing many.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._settled = 0

    def add(self, offset: int, length: int) -> None:
        """Record a frame (bytes, length at least 1). Raises CoverageError if it is not allowed."""
        end = offset + length
        if offset < self._settled:
            raise CoverageError(
                f"frame at offset {offset} comes after {self._window} or more frames that it should"
                f" precede or overlaps them (all up to {self._settled} is settled)"
            )
        starts, ends = self._starts, self._ends
        if not ends or offset >= ends[-1]:
            starts.append(offset)
            ends.append(end)
        else:
            place = bisect_left(starts, offset)
            if place > 0 and ends[place - 1] > offset:
                self._refuse(offset, length, place - 1)
            if place < len(starts) and starts[place] < end:
                self._refuse(offset, length, place)
            starts.insert(place, offset)
            ends.insert(place, end)
        recent = self._recent_ends
        recent.append(end)
        if len(recent) >= self._window:
            self._settled = max(self._settled, recent.popleft())
            if len(ends) >= 2 * self._window:
                self._forget_settled()

    def _forget_settled(self) -> None:
        """Forget ranges where no frame is allowed any more, so none can overlap."""
        count = bisect_right(self._ends, self._settled)
        del self._starts[:count], self._ends[:count]

    def _refuse(self, offset: int, length: int, place: int) -> None:
        raise CoverageError(
            f"frame at offset {offset}, length {length}, overlaps the one"
            f" from {self._starts[place]} to {self._ends[place]}"
        )
