# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Compare: two disks read side by side, 1 % of them different."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.disks import warm
from tests.bench.figures import Figure, wall
from tests.bench.meter import Run


def run(bench: Bench) -> Iterator[Figure]:
    """The mover's `compare` against nbdcopy reading both disks to null, one after the other.

    Each disk is an image twice over, so that both fit into the page cache of a small machine.
    """
    half = bench.size
    ours, base = bench.disks.changed_mix(half, 0.01), bench.disks.mix(half)
    warm(ours, base)

    def mover() -> Run:
        with (
            _twice(ours) as source,
            _twice(base) as below,
        ):
            return subjects.back_up(source, 2 * half, method="compare", base=below)

    def nbdcopy() -> Run:
        total = Run()
        for image in (ours, base):
            with _twice(image) as source:
                one = subjects.nbdcopy(source.uri, "null:", servers=[source])
            total.wall += one.wall
            total.cpu += one.cpu
        return total

    runs = bench.compare("compare", {"mover": mover, "nbdcopy null: of both": nbdcopy})
    ratio = wall(runs["nbdcopy null: of both"]) / wall(runs["mover"])
    yield Figure("compare", "rate", ratio, "nbdcopy of both disks to null", 0.5)
    rate = 2 * half / wall(runs["mover"]) / 1e6
    yield Figure("compare", "rate, of each disk", rate, "", unit="MB/s")


def _twice(image: Path) -> AbstractContextManager[servers.Server]:
    """What is only read may be read over several connections, though the plugin does not say so."""
    filters = ("--filter=multi-conn", "split", image, image, "multi-conn-mode=unsafe")
    return servers.nbdkit("-r", *filters)
