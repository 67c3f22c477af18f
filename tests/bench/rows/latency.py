# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Latency: servers that take some milliseconds for each request, as a vCenter does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.disks import warm
from tests.bench.figures import Figure, wall
from tests.bench.meter import Run

MILLISECONDS = (1, 5, 20)
GOAL_AT = 5  # milliseconds
# What an admin can raise: requests in flight for each connection, connections.
RAISED: Mapping[str, Mapping[str, Any]] = {
    "backup": {"requests_in_flight": 32, "connections": 4},
    "restore": {"requests_in_flight": 32},
}


def run(bench: Bench) -> Iterator[Figure]:
    """The rate with a delay against the rate without, by the defaults and with more in flight."""
    size = bench.scaled(0.25)
    image, segment = bench.warm_mix(size), bench.segment(size)
    warm(image, segment)

    def backup(delay: int, plan: Mapping[str, Any]) -> Run:
        with servers.nbdkit(
            "-r", "-t", 64, "--filter=delay", "file", image, f"delay-read={delay}ms"
        ) as source:
            return subjects.back_up(source, size, **plan)

    used = bench.enter_context(servers.used_file(bench.memory, size))

    def restore(delay: int, plan: Mapping[str, Any]) -> Run:
        delays = [f"delay-write={delay}ms", f"delay-zero={delay}ms"]
        with servers.nbdkit("-t", 64, "--filter=delay", "file", used, *delays) as target:
            return subjects.restore(target, size, segment, **plan)

    # Once before it counts: the first one would pay for memory that was never written.
    restore(0, {})
    for way, subject in (("backup", backup), ("restore", restore)):
        plans: dict[str, Mapping[str, Any]] = {"": {}, f", {_shown(RAISED[way])}": RAISED[way]}
        for settings, plan in plans.items():
            delays = (0, GOAL_AT) if bench.quick else (0, *MILLISECONDS)
            runs = bench.compare(
                "latency",
                {f"{way}, {delay} ms{settings}": partial(subject, delay, plan) for delay in delays},
                rounds=min(2, bench.rounds),
            )
            undelayed, *delayed = (wall(each) for each in runs.values())
            for delay, spent in zip(delays[1:], delayed):
                goal = 0.9 if delay == GOAL_AT else None
                what = f"{way}, {delay} ms a request{settings or ', defaults'}"
                yield Figure("latency", what, undelayed / spent, "no delay", goal)


def _shown(plan: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in plan.items())
