# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Thin: a disk of which 95 % was never written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bareos_vmsnap.method_names import Method
from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.disks import warm
from tests.bench.figures import Figure, wall
from tests.bench.meter import Run

SHARE = 20  # capacity for each byte of data


def run(bench: Bench) -> Iterator[Figure]:
    """The same data in pieces all over a thin disk, and on a disk just large enough."""
    data = bench.scaled(0.5)
    thin, dense = bench.disks.thin(data, SHARE * data), bench.disks.mix(data)
    warm(thin, dense)

    def mover(image: object, capacity: int, method: Method) -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.back_up(source, capacity, method=method)

    methods: tuple[Method, ...] = ("allocated",) if bench.quick else ("allocated", "full")
    for method in methods:
        runs = bench.compare(
            "thin",
            {
                f"thin, {method}": partial(mover, thin, SHARE * data, method),
                f"its data, {method}": partial(mover, dense, data, method),
            },
        )
        spent, alone = (wall(each) for each in runs.values())
        yield Figure(
            "thin", f"time, method {method}", spent / alone, "its data alone", 1.1, at_most=True
        )
