# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory of the plugin: a VM of 4 disks, 32 nodes, 1,000,000 changed extents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.changes import claim_changed
from tests.bench.content import GIB
from tests.bench.figures import Figure, peak
from tests.bench.meter import Meter, Run
from tests.bench.site import BenchSite

DISKS = 4
NODES, NODES_QUICK = 32, 4
EXTENTS, EXTENTS_QUICK = 1_000_000, 100_000
CAPACITY = 64 * GIB
LIMIT = 60  # MiB
_IDLE = Path(__file__).parents[2] / "lab" / "filedaemon" / "plugins"


def run(bench: Bench) -> Iterator[Figure]:
    """The job's process of the loopback file daemon, against that of a plugin that does nothing."""
    nodes, extents = (NODES_QUICK, EXTENTS_QUICK) if bench.quick else (NODES, EXTENTS)
    site = BenchSite(bench.folder("plugin-memory"))
    try:
        machine = site.create("wide", [CAPACITY] * DISKS)
        share = extents // (nodes * DISKS)
        for number in range(nodes):
            for key in machine.guest.disks:
                claim_changed(site.lab, machine.guest.path(key), share)
            if number < nodes - 1:
                site.next_node(machine, number)

        def idle() -> Run:
            with Meter() as run:
                site.daemon.backup(f"python3:module_path={_IDLE}:module_name=lab-values")
            return run

        def job() -> Run:
            return site.run_backup("wide", without_cbt="full")[0]

        runs = bench.compare("plugin_memory", {"idle": idle, "job": job}, rounds=1)
        above = peak(runs["job"], "job") - peak(runs["idle"], "job")
        yield Figure(
            "plugin_memory", f"{DISKS} disks, {nodes} nodes, {extents:,} extents", above,
            "an idle job of the loopback daemon", LIMIT, at_most=True, unit="MiB",
        )  # fmt: skip
    finally:
        site.close()
