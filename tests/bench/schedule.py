# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Fewer rounds if rows take longer than they should, so that the table is there in time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Callable

# How long a row may take with --size 4 on two cores, in seconds. All of them take two minutes less
# than 15, since in a slow hour even a single round takes longer.
FULL: Mapping[str, float] = {
    "backup": 60,
    "restore": 75,
    "plugin": 70,
    "vddk": 55,
    "bareos": 150,
    "memory": 25,
    "plugin_memory": 80,
    "incremental": 25,
    "tree": 45,
    "compare": 45,
    "thin": 45,
    "latency": 50,
    "compression": 25,
    "growth": 40,
}
# Seconds behind, from which on two rounds have to do, or one.
_TWO, _ONE = 10.0, 45.0


class Schedule:
    """When each of some rows should begin, if those before take as long as they may.

    `scale`: how many times as large the disk is. What a row leaves over is the next ones'.
    """

    def __init__(
        self, rows: Sequence[str], scale: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._begun = clock()
        self._scale = scale
        self._due: dict[str, float] = {}
        due = 0.0
        for row in rows:
            self._due[row] = due
            due += FULL[row] * scale

    def rounds(self, row: str, wanted: int) -> int:
        """How many of the rounds that are wanted of a row that begins now there is time for."""
        late = self._clock() - self._begun - self._due[row]
        if late <= _TWO * self._scale:
            return wanted
        return min(wanted, 2 if late <= _ONE * self._scale else 1)
