# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Tree: 32 nodes with new data each, against one node with all of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.bench import Bench
from tests.bench.content import MIB, Content
from tests.bench.figures import Figure, typical, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite

NODES, NODES_QUICK = 32, 6
CHANGE = 64 * MIB
_AT_ONCE = 64 * MIB  # the lab starts a server for each writing


def run(bench: Bench) -> Iterator[Figure]:
    """Full jobs of both VMs. The tasks of vCenter count on neither side."""
    nodes = NODES_QUICK if bench.quick else NODES
    change = min(CHANGE, bench.scaled(1 / (2 * nodes)))
    counts = (1, nodes)
    site = BenchSite(bench.folder("tree"))
    try:
        for count in counts:
            _grow(site, f"nodes{count}", count, nodes * change)

        def job(count: int) -> Run:
            done, result = site.run_backup(f"nodes{count}")
            site.forget(result.jobid)
            return done

        runs = bench.compare(
            "tree",
            {f"{count} nodes": partial(job, count) for count in counts},
            rounds=min(2, bench.rounds),
        )
        one, many = runs["1 nodes"], runs[f"{nodes} nodes"]
        spent, reference = (_without_tasks(each) for each in (many, one))
        yield Figure(
            "tree", f"time, {nodes} nodes", spent / reference, "one node of the same change", 1.3,
            at_most=True,
            note=f"{wall(many):.1f} s against {wall(one):.1f} s, with vCenter's tasks",
        )  # fmt: skip
        sent = [typical(each, lambda run: run.more["bytes"]) for each in (many, one)]
        yield Figure(
            "tree", f"bytes, {nodes} nodes", sent[0] / sent[1], "one node of the same change", 1.01,
            at_most=True,
        )  # fmt: skip
        for name, each in runs.items():
            reference_size = f"{nodes * change // MIB} MiB in all"
            yield Figure("growth", f"nodes: {name}", _without_tasks(each), reference_size, unit="s")
    finally:
        site.close()


def _grow(site: BenchSite, name: str, count: int, total: int) -> None:
    """A VM of `count` nodes; each brings its share of the data, in a place of its own."""
    machine = site.create(name, [2 * total])
    share = total // count
    pieces = Content(7).endless_mix()
    for number in range(count):
        for at in range(number * share, (number + 1) * share, _AT_ONCE):
            size = min(_AT_ONCE, (number + 1) * share - at)
            writes = [(at + place, next(pieces)) for place in range(0, size, MIB)]
            machine.guest.write_many(KEY, writes)
        if number < count - 1:
            site.next_node(machine, number)


def _without_tasks(runs: list[Run]) -> float:
    return typical(runs, lambda run: run.wall - run.more["task_seconds"])
