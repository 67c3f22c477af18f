# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory of the plugin: a VM of 4 disks, 32 nodes, 1,000,000 changed extents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Union

from tests.bareos import installation
from tests.bench.bench import Bench
from tests.bench.changes import claim_changed
from tests.bench.content import GIB, MIB
from tests.bench.daemons import Daemons
from tests.bench.figures import Figure, Skipped, peak
from tests.bench.meter import Meter, Run
from tests.bench.site import BenchSite

DISKS = 4
NODES, NODES_QUICK = 32, 4
EXTENTS, EXTENTS_QUICK = 1_000_000, 100_000
CAPACITY = 64 * GIB
LIMIT = 60  # MiB
JOB = "backup-vm-wide"
_IDLE = Path(__file__).parents[2] / "lab" / "filedaemon" / "plugins"


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
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
            return site.run_backup("wide")[0]

        runs = bench.compare("plugin_memory", {"idle": idle, "job": job}, rounds=1)
        above = peak(runs["job"], "job") - peak(runs["idle"], "job")
        yield Figure(
            "plugin_memory", f"{DISKS} disks, {nodes} nodes, {extents:,} extents", above,
            "an idle job of the loopback daemon", LIMIT, at_most=True, unit="MiB",
        )  # fmt: skip
        yield from _in_bareos(bench, site, f"{DISKS} disks, {nodes} nodes, {extents:,} extents")
    finally:
        site.close()


def _in_bareos(bench: Bench, site: BenchSite, what: str) -> Iterator[Union[Figure, Skipped]]:
    try:
        found = installation.find()
    except installation.NotInstalled as missing:
        yield Skipped("plugin_memory", "in bareos-fd", str(missing))
        return
    with bench.memory_folder("volumes") as volumes:
        daemons = Daemons(found, site.lab, ["wide"], volumes=volumes)
        try:
            runs = bench.compare("plugin_memory", {"bareos": lambda: daemons.job(JOB)}, rounds=1)
        finally:
            daemons.close()
    above = peak(runs["bareos"], "bareos-fd") - daemons.idle_memory / MIB
    yield Figure(
        "plugin_memory", f"bareos-fd: {what}", above, "before its first job", LIMIT,
        at_most=True, unit="MiB",
    )  # fmt: skip
