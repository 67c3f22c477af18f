# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Restore: a stored segment through verification and lz4 to one NBD connection."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Callable

from tests.bench import servers, subjects
from tests.bench.bench import Bench, per_gib
from tests.bench.disks import warm
from tests.bench.figures import Figure, cpu, peak, wall
from tests.bench.meter import Run
from tests.bench.servers import Server


def run(bench: Bench) -> Iterator[Figure]:
    """The mover against nbdcopy from the raw file, on one connection and on its own choice."""
    size = bench.size
    segment = bench.segment(size)
    image = bench.warm_mix(size)
    checked: list[bool] = []

    def mover() -> Run:
        with servers.fresh_file(bench.memory, size) as (target, path):
            found = subjects.restore(target, size, segment)
            if not checked:  # what is fast must be right as well
                subprocess.run(["cmp", str(image), str(path)], check=True)
                checked.append(True)
            return found

    def nbdcopy(*options: str) -> Run:
        with servers.fresh_file(bench.memory, size) as (target, _):
            return subjects.nbdcopy(*options, image, target.uri, servers=[target])

    warm(segment, image)
    # This one first: a virtual machine's host has to find the memory that was never written, and
    # whoever writes to a new file first would pay for the others.
    with servers.used_file(bench.memory, size) as path:
        again = bench.compare(
            "restore",
            {
                "mover, used file": partial(_onto, path, partial(_move, segment, size)),
                "nbdcopy, used file": partial(_onto, path, partial(_copy, image)),
            },
        )
    runs = bench.compare(
        "restore",
        {"mover": mover, "nbdcopy": nbdcopy, "nbdcopy -C1": partial(nbdcopy, "-C1")},
    )
    mine = wall(runs["mover"])
    note = "" if bench.target_in_memory else "no room in /dev/shm: the target is on the disk"
    yield Figure(
        "restore", "rate", wall(runs["nbdcopy"]) / mine, "nbdcopy FILE NBD", 1.0, note=note
    )
    yield Figure("restore", "rate", wall(runs["nbdcopy -C1"]) / mine, "nbdcopy -C1 FILE NBD", 1.0)
    yield Figure(
        "restore", "CPU", per_gib(cpu(runs["mover"]), size), "server and feeder included", 1.2,
        at_most=True, unit="s/GiB",
    )  # fmt: skip
    yield Figure("restore", "rate", size / mine / 1e6, "", unit="MB/s")
    mine, theirs = (wall(each) for each in again.values())
    used = "the same, to a file that has its memory"
    yield Figure(
        "restore", "rate, to a file that has its memory", theirs / mine, "nbdcopy FILE NBD"
    )
    yield Figure(
        "restore", "CPU", per_gib(cpu(again["mover, used file"]), size), used, 1.2,
        at_most=True, unit="s/GiB",
    )  # fmt: skip
    yield Figure("restore", "rate", size / mine / 1e6, used, unit="MB/s")
    yield Figure(
        "restore", "memory of the mover", peak(runs["mover"], "mover"), "", 64, at_most=True,
        unit="MiB",
    )  # fmt: skip


def _onto(path: Path, write: Callable[[Server], Run]) -> Run:
    with servers.nbdkit("file", path) as target:
        return write(target)


def _move(segment: Path, size: int, target: Server) -> Run:
    return subjects.restore(target, size, segment)


def _copy(image: Path, target: Server) -> Run:
    return subjects.nbdcopy(image, target.uri, servers=[target])
