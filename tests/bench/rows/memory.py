# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory of the mover, whatever the disk, its extents or the segment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import servers, subjects
from tests.bench.bench import Bench
from tests.bench.content import MIB
from tests.bench.figures import Figure, peak
from tests.bench.meter import Run

TIB = 1 << 40
EXTENTS, EXTENTS_QUICK = 200_000, 20_000
EXTENT = 4096  # bytes
LIMIT = 64  # MiB


def run(bench: Bench) -> Iterator[Figure]:
    """A 4 TiB sparse disk, and a plan with very many extents, both ways."""
    data = bench.scaled(1 / 16)
    sparse = bench.disks.thin(data, 4 * TIB, piece=MIB)
    count = EXTENTS_QUICK if bench.quick else EXTENTS
    stride = 4 * TIB // count // EXTENT * EXTENT
    kept = bench.scratch / "extents.vmseg"

    def thin() -> Run:
        with servers.nbdkit("-r", "file", sparse) as source:
            return subjects.back_up(source, 4 * TIB, method="allocated")

    def many() -> Run:
        extents = ((number * stride, EXTENT) for number in range(count))
        with servers.nbdkit("-r", "pattern", 4 * TIB) as source:
            return subjects.back_up(source, 4 * TIB, method="cbt", extents=extents, into=kept)

    def back() -> Run:
        return _restored(kept)

    runs = bench.compare(
        "memory", {"4 TiB": thin, "extents": many, "extents, restore": back}, rounds=1
    )
    for name, title in (
        ("4 TiB", "backup, 4 TiB sparse disk"),
        ("extents", f"backup, {count:,} extents"),
        ("extents, restore", f"restore, {count:,} frames"),
    ):
        yield Figure(
            "memory", title, peak(runs[name], "mover"), "", LIMIT, at_most=True, unit="MiB"
        )
    kept.unlink()


def _restored(segment: Path) -> Run:
    with servers.nbdkit("null", 4 * TIB) as target:
        return subjects.restore(target, 4 * TIB, segment)
