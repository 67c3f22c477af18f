# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Incremental: 64 MiB changed in 2,000 places, of a small and of a very large disk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from tests.bench.bench import Bench
from tests.bench.content import GIB, MIB
from tests.bench.figures import Figure, typical, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine

SMALL, LARGE = 64 * GIB, 4096 * GIB
CHANGE, PLACES = 64 * MIB, 2000
_SECTOR = 512


def run(bench: Bench) -> Iterator[Figure]:
    """Incremental jobs of two VMs that change alike. The tasks of vCenter do not count."""
    site = BenchSite(bench.folder("incremental"))
    try:
        vms = {"small": SMALL, "large": LARGE}
        for name, capacity in vms.items():
            machine = site.create(name, [capacity])
            machine.guest.write(KEY, 0, random.Random(0).randbytes(MIB))
            site.run_backup(name)
        source = random.Random(1)
        runs = bench.compare(
            "incremental",
            {
                name: partial(_change_and_save, site, name, capacity, source)
                for name, capacity in vms.items()
            },
        )
        small, large = runs["small"], runs["large"]
        times = f"{wall(large):.2f} s against {wall(small):.2f} s with vCenter's tasks"
        yield Figure(
            "incremental", "time, 4 TiB disk", _without_tasks(large) / _without_tasks(small),
            "64 GiB disk", 1.2, at_most=True, note=times,
        )  # fmt: skip
        sent = [typical(each, lambda run: run.more["bytes"]) for each in (large, small)]
        yield Figure(
            "incremental", "bytes, 4 TiB disk", sent[0] / sent[1], "64 GiB disk", 1.2, at_most=True
        )
        yield Figure(
            "incremental", "bytes, 64 GiB disk", sent[1] / CHANGE, "what changed",
            note="CBT tells apart 64 KiB",
        )  # fmt: skip
    finally:
        site.close()


def _change_and_save(site: BenchSite, name: str, capacity: int, source: random.Random) -> Run:
    _change(site.find(name), capacity, source)
    run, result = site.run_backup(name, "Incremental")
    if result.level != "I":
        raise RuntimeError(f"the job of {name} became a Full")
    return run


def _without_tasks(runs: list[Run]) -> float:
    return typical(runs, lambda run: run.wall - run.more["task_seconds"])


def _change(machine: Machine, capacity: int, source: random.Random) -> None:
    sectors = CHANGE // _SECTOR
    low, more = divmod(sectors, PLACES)
    slot = capacity // PLACES // _SECTOR
    writes = []
    for number in range(PLACES):
        length = low + (number < more)
        at = number * slot + source.randrange(slot - length)
        writes.append((at * _SECTOR, source.randbytes(length * _SECTOR)))
    machine.guest.write_many(KEY, writes)
