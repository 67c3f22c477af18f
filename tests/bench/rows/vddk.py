# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VDDK: disks through nbdkit's vddk plugin and the lab's stand-in for VMware's library."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, Union

from bareos_vmsnap.lab.vddk import plugin
from bareos_vmsnap.transport.access import DiskAddress, Limits, VddkAccess
from tests.bench import subjects
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Skipped, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine

CONNECTIONS = 3


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """The mover through VDDK against the mover at the same disk's door, with equal requests."""
    found = plugin.find()
    if found is None:
        yield Skipped("vddk", "all", plugin.why_missing())
        return
    size = bench.scaled(0.5)
    image, segment = bench.warm_mix(size), bench.segment(size)
    with bench.memory_folder("vddk") as memory:
        site = BenchSite(bench.folder("vddk"), memory)
        try:
            machine = site.create("big", [size])
            site.fill(machine, image)
            frozen = machine.snapshot("filled")
            access = _access(site, found)

            def back_up(source: dict[str, Any]) -> Run:
                told = {"source": source, "header": {}, "capacity": size, "method": "allocated"}
                return subjects.read_plan({**told, "connections": CONNECTIONS})

            def restore(through_vddk: bool) -> Run:
                target = site.create("target", [size], datastore="datastore2")
                address = _address(target)
                endpoint = access.endpoint(address) if through_vddk else site.endpoint(target)
                done = subjects.write_plan({"target": endpoint, "capacity": size}, segment)
                target.destroy()
                return done

            address = dataclasses.replace(_address(machine, 1), snapshot=frozen._moId)
            ways = {
                "read, vddk": partial(back_up, access.endpoint(address)),
                "read, door": partial(back_up, site.endpoint(machine, frozen._moId)),
                "write, vddk": partial(restore, True),
                "write, door": partial(restore, False),
            }
            runs = bench.compare("vddk", ways)
            for way in ("read", "write"):
                ratio = wall(runs[f"{way}, door"]) / wall(runs[f"{way}, vddk"])
                yield Figure("vddk", way, ratio, "plain NBD at the same door", 0.9)
        finally:
            site.close()


def _address(machine: Machine, up: int = 0) -> DiskAddress:
    """The first disk, as it is now or as its file was `up` snapshots ago."""
    backing = machine.device(KEY).backing
    for _ in range(up):
        backing = backing.parent
    return DiskAddress(machine.guest.moref, KEY, backing.fileName)


def _access(site: BenchSite, found: str) -> VddkAccess:
    lab = site.lab
    return VddkAccess(
        server=lab.host,
        port=lab.port,
        user=lab.user,
        password=lab.password,
        thumbprint=lab.thumbprint,
        is_vcenter=True,
        reading="nbdssl:nbd",
        writing="nbdssl:nbd",
        limits=Limits(str(site.directory / "slots"), 40, 10),
        settings={"libdir": str(lab.vddk.libdir), "plugin": found},
    )
