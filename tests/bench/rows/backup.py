# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Backup: from NBD through zero detection, lz4 and checksums to a reader."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import servers, subjects
from tests.bench.bench import Bench, per_gib
from tests.bench.figures import Figure, cpu, peak, wall
from tests.bench.meter import Run


def run(bench: Bench) -> Iterator[Figure]:
    """The mover against nbdcopy, which does nothing but read, and against nbdcopy with lz4."""
    size = bench.size
    image = bench.warm_mix(size)

    def mover() -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.back_up(source, size)

    def null() -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.nbdcopy(source.uri, "null:", servers=[source])

    def piped() -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.nbdcopy_to_lz4(source)

    runs = bench.compare("backup", {"mover": mover, "nbdcopy null:": null, "nbdcopy to lz4": piped})
    mine = wall(runs["mover"])
    yield Figure("backup", "rate", wall(runs["nbdcopy null:"]) / mine, "nbdcopy to null", 0.40)
    yield Figure("backup", "rate", wall(runs["nbdcopy to lz4"]) / mine, "nbdcopy to lz4 -1", 3.5)
    yield Figure(
        "backup", "CPU", per_gib(cpu(runs["mover"]), size), "server and reader included", 2.0,
        at_most=True, unit="s/GiB",
    )  # fmt: skip
    yield Figure("backup", "rate", size / mine / 1e6, "", unit="MB/s")
    yield Figure(
        "backup", "memory of the mover", peak(runs["mover"], "mover"), "", 64, at_most=True,
        unit="MiB",
    )  # fmt: skip
