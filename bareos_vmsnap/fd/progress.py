# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The progress of a job, reported between segments.

No Python runs while Bareos' core moves a segment's data. To watch a long segment, use bconsole's
`status client`, which shows the file, its bytes and the rate.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Callable

from bareos_vmsnap.fd.summary import size

INTERVAL = 60.0  # seconds, at least, between two lines


class Progress:
    """`expected`: bytes of every segment by name, as far as known in advance."""

    def __init__(
        self,
        expected: Mapping[str, int],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = dict(expected)
        self._count = len(self._left)
        self._report = report
        self._clock = clock
        self._began = self._reported = clock()
        self._moved = self._stored = 0

    def done(self, segment: str, moved: int, stored: int) -> None:
        """A segment is done: bytes of the disk, and bytes of the segment."""
        self._left.pop(segment, None)
        self._moved += moved
        self._stored += stored
        now = self._clock()
        if self._left and now - self._reported >= INTERVAL:
            self._reported = now
            self._report(self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        rate = self._moved / seconds
        line = (
            f"{self._count - len(self._left)} of {self._count} segments: "
            f"{size(self._moved)} of disks, {size(self._stored)} stored, {rate / 1e6:.0f} MB/s"
        )
        if not rate:
            return line
        return f"{line}, about {_duration(sum(self._left.values()) / rate)} left"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute"
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"
