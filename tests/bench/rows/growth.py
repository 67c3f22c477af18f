# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Growth: how cost grows with the disk, the change, the connections."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.content import GIB, MIB
from tests.bench.disks import warm
from tests.bench.figures import Figure, wall
from tests.bench.meter import Run

TIB = 1 << 40
CAPACITIES = (16 * GIB, 256 * GIB, 4 * TIB)
CONNECTIONS = (1, 2, 3, 4, 6)
DEPTHS = (1, 2, 4)


def run(bench: Bench) -> Iterator[Figure]:
    """Seconds, for the plots: rows `tree` and `incremental` tell of nodes and whole jobs."""
    yield from _by_disk(bench)
    yield from _by_change(bench)
    yield from _by_connections(bench)


def _by_disk(bench: Bench) -> Iterator[Figure]:
    data = bench.scaled(1 / 64)
    images = {capacity: bench.disks.thin(data, capacity, MIB) for capacity in CAPACITIES}
    warm(*images.values())

    def mover(capacity: int) -> Run:
        with servers.nbdkit("-r", "file", images[capacity]) as source:
            return subjects.back_up(source, capacity, method="allocated")

    runs = bench.compare(
        "growth", {_size(c): partial(mover, c) for c in CAPACITIES}, min(2, bench.rounds)
    )
    for name, each in runs.items():
        yield Figure("growth", f"disk: {name}", wall(each), f"{_size(data)} of data", unit="s")


def _by_change(bench: Bench) -> Iterator[Figure]:
    size = bench.size
    image = bench.warm_mix(size)

    def mover(change: int) -> Run:
        count = change // MIB
        stride = size // count // MIB * MIB
        extents = ((number * stride, MIB) for number in range(count))
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.back_up(source, size, method="cbt", extents=extents)

    changes = [bench.scaled(part) for part in (1 / 16, 1 / 8, 1 / 4, 1 / 2)]
    runs = bench.compare(
        "growth", {_size(c): partial(mover, c) for c in changes}, min(2, bench.rounds)
    )
    for name, each in runs.items():
        yield Figure("growth", f"change: {name}", wall(each), f"disk of {_size(size)}", unit="s")


def _by_connections(bench: Bench) -> Iterator[Figure]:
    size = bench.scaled(0.25)
    image = bench.warm_mix(size)

    def mover(connections: int, depth: int) -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.back_up(
                source, size, connections=connections, requests_in_flight=connections * depth
            )

    settings = [(c, 2) for c in CONNECTIONS]
    if not bench.quick:
        settings += [(3, d) for d in DEPTHS if d != 2]
    runs = bench.compare(
        "growth",
        {f"{c}, depth {d}": partial(mover, c, d) for c, d in settings},
        min(2, bench.rounds),
    )
    for name, each in runs.items():
        rate = size / wall(each) / 1e6
        yield Figure("growth", f"connections: {name}", rate, f"{_size(size)} mix", unit="MB/s")


def _size(size: int) -> str:
    for unit, word in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size >= unit:
            return f"{size / unit:g} {word}"
    return f"{size} B"
