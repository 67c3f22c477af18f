# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Compression: what incompressible data cost, and what lz4's levels give."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.bench import servers, subjects
from tests.bench.bench import Bench, per_gib
from tests.bench.disks import warm
from tests.bench.figures import Figure, cpu, typical, wall
from tests.bench.meter import Run

LEVELS = (1, 2, 4, 8)


def run(bench: Bench) -> Iterator[Figure]:
    """lz4 against none on noise; lz4's accelerations on the reference mix."""
    size = bench.scaled(0.25)
    noise, mix = bench.disks.noise(size), bench.disks.mix(size)
    warm(noise, mix)

    def mover(image: object, **plan: Any) -> Run:
        with servers.nbdkit("-r", "file", image) as source:
            return subjects.back_up(source, size, **plan)

    runs = bench.compare(
        "compression",
        {
            "noise, none": partial(mover, noise, compression="none"),
            "noise, lz4": partial(mover, noise, compression="lz4"),
        },
    )
    none, lz4 = (cpu(each) for each in runs.values())
    yield Figure("compression", "CPU, noise with lz4", lz4 / none, "noise with none")
    runs = bench.compare(
        "compression",
        {
            "mix, none": partial(mover, mix, compression="none"),
            **{
                f"mix, acceleration {level}": partial(mover, mix, lz4_acceleration=level)
                for level in LEVELS
            },
        },
    )
    for name, each in runs.items():
        ratio = typical(each, lambda run: run.more["stream_bytes"]) / size
        note = f"{size / wall(each) / 1e6:.0f} MB/s, {per_gib(cpu(each), size):.2f} s/GiB of CPU"
        yield Figure("compression", f"{name}: stored", ratio, "raw", note=note)
