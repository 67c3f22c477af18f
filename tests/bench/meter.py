# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One measured run."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Optional

from tests.bench import processes


@dataclass
class Run:
    """What one run of a subject cost. Seconds and bytes.

    `cpu`: user and system time of everything that took part. `parts`: of the long-living servers,
    and of whatever a subject tells apart. `peaks`: resident memory by kind of process. `more`:
    what else is worth keeping.
    """

    wall: float = 0.0
    cpu: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


class Meter:
    """Measures what happens while it is entered: children that end in it, and `servers`, that run on.

    `own`: whether this process works too, as the lab's storage does.
    """

    def __init__(self, servers: Iterable[int] = (), *, own: bool = False) -> None:
        self.run = Run()
        self._servers = list(servers)
        self._own = own
        self._watch = processes.MemoryWatch(self._servers)

    def __enter__(self) -> Run:
        self._watch.__enter__()
        self._before = self._spent()
        self._start = time.monotonic()
        return self.run

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.run.wall = time.monotonic() - self._start
        self._watch.__exit__(kind, error, trace)
        children, own, servers = (now - then for now, then in zip(self._spent(), self._before))
        self.run.cpu = children + servers + (own if self._own else 0.0)
        self.run.parts["server"] = servers
        self.run.peaks = self._watch.peaks

    def _spent(self) -> tuple[float, float, float]:
        return (
            _seconds(resource.RUSAGE_CHILDREN),
            _seconds(resource.RUSAGE_SELF),
            sum(map(processes.cpu_seconds, self._servers)),
        )


def _seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
