# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory of the plugin: a VM of 4 disks, 32 nodes, 1,000,000 changed extents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bareos import installation
from tests.bench.bench import Bench
from tests.bench.changes import claim_changed
from tests.bench.content import GIB, MIB
from tests.bench.daemons import Daemons
from tests.bench.figures import Figure, peak
from tests.bench.meter import Meter, Run
from tests.bench.site import BenchSite

DISKS = 4
NODES, NODES_QUICK = 32, 4
EXTENTS, EXTENTS_QUICK = 1_000_000, 50_000
CAPACITY = 64 * GIB
LIMIT = 60  # MiB
JOB = "backup-vm-wide"
_IDLE = Path(__file__).parents[1] / "plugins"


def run(bench: Bench) -> Iterator[Figure]:
    """In bareos-fd; if none is installed, in the job's process of the loopback file daemon."""
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

        what = f"{DISKS} disks, {nodes} nodes, {extents:,} extents"
        try:
            found = installation.find()
        except installation.NotInstalled:
            yield _in_loopback(bench, site, what)
        else:
            yield _in_bareos(bench, site, found, what)
    finally:
        site.close()


def _in_loopback(bench: Bench, site: BenchSite, what: str) -> Figure:
    def idle() -> Run:
        with Meter() as run:
            site.daemon.backup(f"python3:module_path={_IDLE}:module_name=bench-idle")
        return run

    def job() -> Run:
        return site.run_backup("wide")[0]

    runs = bench.compare("plugin_memory", {"idle": idle, "job": job}, rounds=1)
    above = peak(runs["job"], "job") - peak(runs["idle"], "job")
    reference = "an idle job of the loopback daemon"
    return Figure("plugin_memory", what, above, reference, LIMIT, at_most=True, unit="MiB")


def _in_bareos(
    bench: Bench, site: BenchSite, found: installation.Installation, what: str
) -> Figure:
    with bench.memory_folder("volumes") as volumes:
        daemons = Daemons(found, site.lab, ["wide"], volumes=volumes)
        try:
            runs = bench.compare("plugin_memory", {"bareos": lambda: daemons.job(JOB)}, rounds=1)
        finally:
            daemons.close()
    above = peak(runs["bareos"], "bareos-fd") - daemons.idle_memory / MIB
    reference = "bareos-fd before its first job"
    return Figure("plugin_memory", what, above, reference, LIMIT, at_most=True, unit="MiB")
