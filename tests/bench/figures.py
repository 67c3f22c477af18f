# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a row finds out, and whether its goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Callable, Optional

from tests.bench.meter import Run


@dataclass(frozen=True)
class Figure:
    """One line of the table. `goal` is "at least" or, with `at_most`, "at most"; None: for information.

    `what`: the subject; `reference`: what it is compared with; `unit` is empty for ratios.
    """

    row: str
    what: str
    value: float
    reference: str
    goal: Optional[float] = None
    at_most: bool = False
    unit: str = ""
    note: str = ""

    @property
    def met(self) -> Optional[bool]:
        """None if there is no goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True)
class Skipped:
    """A row, or a part of one, that could not be measured, and why."""

    row: str
    what: str
    reason: str


def typical(runs: Sequence[Run], what: Callable[[Run], float]) -> float:
    """The median over runs."""
    return median(map(what, runs))


def typical_ratio(numerators: Sequence[Run], denominators: Sequence[Run]) -> float:
    """The median of the ratios of wall seconds, round by round: of runs that were neighbours."""
    return median(one.wall / other.wall for one, other in zip(numerators, denominators))


def wall(runs: Sequence[Run]) -> float:
    """Median of wall seconds."""
    return typical(runs, lambda run: run.wall)


def cpu(runs: Sequence[Run]) -> float:
    """Median of CPU seconds."""
    return typical(runs, lambda run: run.cpu)


def peak(runs: Sequence[Run], kind: str) -> float:
    """The highest of the peaks, in MiB."""
    return max(run.peaks.get(kind, 0) for run in runs) / (1 << 20)
