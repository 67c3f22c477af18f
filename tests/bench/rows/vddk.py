# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VDDK: disks through nbdkit's vddk plugin and the lab's stand-in for VMware's library.

The stand-in itself reads from the lab's door by NBD, so that each byte passes one server more than
without it. The reference passes as many: nbdkit's nbd plugin in front of the same door.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, Union

from bareos_vmsnap.lab.vddk import plugin
from bareos_vmsnap.transport.access import DiskAddress, Limits, VddkAccess
from tests.bench import servers, subjects
from tests.bench.bench import Bench, Subject
from tests.bench.figures import Figure, Skipped, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine

CONNECTIONS = 3


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """The mover through VDDK against the mover through plain NBD, with equal requests."""
    found = plugin.find()
    if found is None:
        yield Skipped("vddk", "all", plugin.why_missing())
        return
    size = bench.size
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

            def back_up_by_nbd() -> Run:
                door = site.uri(machine, frozen._moId)
                with servers.nbdkit("-r", "nbd", f"uri={door}") as source:
                    return back_up(source.endpoint)

            def restore(target: dict[str, Any]) -> Run:
                # As into any new disk. Zeros over data VDDK writes like data, plain NBD does not.
                told = {"target": target, "capacity": size, "drop_zeros": True}
                return subjects.write_plan(told, segment)

            def restore_by_vddk() -> Run:
                target = site.create("target", [size], datastore="datastore2")
                done = restore(access.endpoint(_address(target)))
                target.destroy()
                return done

            def restore_by_nbd() -> Run:
                target = site.create("target", [size], datastore="datastore2")
                with servers.nbdkit("nbd", f"uri={site.uri(target)}") as proxy:
                    done = restore(proxy.endpoint)
                target.destroy()
                return done

            address = dataclasses.replace(_address(machine, 1), snapshot=frozen._moId)
            ways: dict[str, Subject] = {
                "read, vddk": partial(back_up, access.endpoint(address)),
                "read, nbd": back_up_by_nbd,
                "write, vddk": restore_by_vddk,
                "write, nbd": restore_by_nbd,
            }
            runs = bench.compare("vddk", ways)
            for way in ("read", "write"):
                ratio = wall(runs[f"{way}, nbd"]) / wall(runs[f"{way}, vddk"])
                yield Figure("vddk", way, ratio, "nbdkit's nbd plugin at the same door", 0.9)
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
