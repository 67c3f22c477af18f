# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Compare: two disks read side by side, 1 % of them different."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.disks import warm
from tests.bench.figures import Figure, wall
from tests.bench.meter import Run


def run(bench: Bench) -> Iterator[Figure]:
    """The mover's `compare` against nbdcopy reading both disks to null, one after the other."""
    size = bench.scaled(0.5) if bench.quick else bench.size
    ours, base = bench.disks.changed_mix(size, 0.01), bench.disks.mix(size)
    warm(ours, base)

    def mover() -> Run:
        with (
            servers.nbdkit("-r", "file", ours) as source,
            servers.nbdkit("-r", "file", base) as below,
        ):
            return subjects.back_up(source, size, method="compare", base=below)

    def nbdcopy() -> Run:
        total = Run()
        for image in (ours, base):
            with servers.nbdkit("-r", "file", image) as source:
                one = subjects.nbdcopy(source.uri, "null:", servers=[source])
            total.wall += one.wall
            total.cpu += one.cpu
        return total

    runs = bench.compare("compare", {"mover": mover, "nbdcopy null: of both": nbdcopy})
    ratio = wall(runs["nbdcopy null: of both"]) / wall(runs["mover"])
    yield Figure("compare", "rate", ratio, "nbdcopy of both disks to null", 0.5)
    rate = size / wall(runs["mover"]) / 1e6
    yield Figure("compare", "rate, of each disk", rate, "", unit="MB/s")
