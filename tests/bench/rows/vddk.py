# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VDDK: disks through nbdkit's vddk plugin and the lab's stand-in for VMware's library.

Twice, each time beside a server with as many copies on the way: of a raw file, which the stand-in
opens itself, against nbdkit's file plugin; and of a disk of the lab, which the stand-in reaches
through the lab's door, against nbdkit's nbd plugin in front of the same door.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Callable, Union

from bareos_vmsnap.mover.plan import ReadPlan, WritePlan
from bareos_vmsnap.transport.access import DiskAddress, Limits, VddkAccess
from bareos_vmsnap.transport.disks import READING_MODES, DiskDescription, VddkDisk
from tests.bench import processes, servers, subjects
from tests.bench.bench import Bench, Subject, per_gib
from tests.bench.content import MIB
from tests.bench.disks import warm
from tests.bench.figures import Figure, Skipped, cpu, typical_ratio
from tests.bench.meter import Meter, Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine
from vmsnap_lab.vddk import plugin

GOAL = 0.9
CONNECTIONS = 3
_ROUNDS = 4  # an even number: either of two is as often the first


def run(bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """The mover through VDDK against the mover through plain NBD, with equal requests."""
    found = plugin.find()
    if found is None:
        yield Skipped("vddk", "all", plugin.why_missing())
        return
    with bench.memory_folder("vddk") as memory:
        site = BenchSite(bench.folder("vddk"), memory)
        try:
            yield from Comparison(bench, site, memory, found).figures()
        finally:
            site.close()


class Comparison:
    """`memory`: a folder on a tmpfs, `found`: the plugin for nbdkit."""

    def __init__(self, bench: Bench, site: BenchSite, memory: Path, found: str) -> None:
        self._bench = bench
        self._site = site
        self._size = size = max(64 * MIB, bench.scaled(0.25))
        self._image, self._segment = bench.warm_mix(size), bench.segment(size)
        self._written = memory / "written"
        self._access = _access(site, found)
        machine = site.create("big", [size])
        site.fill(machine, self._image)
        self._frozen = machine.snapshot("filled")
        self._source = dataclasses.replace(_address(machine, 1), snapshot=self._frozen._moId)
        self._machine = machine
        self._target = site.create("target", [size], datastore="datastore2")
        self._written.touch()
        os.truncate(self._written, size)

    def figures(self) -> Iterator[Figure]:
        """Of both directions, with the raw file and (not in a short run) with the lab's disk."""
        source, target = self._access.describe(self._source), _address(self._target)
        image, written = self._image, self._written
        warm(image, self._segment)
        own_files = {self._source.path: image, target.path: written}
        file = "nbdkit's file plugin"
        with self._plain_files(own_files):
            yield self._figure("read, a raw file", file, self._read, source, ("-r", "file", image))
            writing = self._access.describe(target)
            yield self._figure("write, a raw file", file, self._write, writing, ("file", written))
            # What is fast must be right as well.
            subprocess.run(["cmp", str(image), str(written)], check=True)
        if self._bench.quick:
            return
        door = "nbdkit's nbd plugin at the same door"
        shown = f"uri={self._site.uri(self._machine, self._frozen._moId)}"
        yield self._figure("read, the lab's disk", door, self._read, source, ("-r", "nbd", shown))
        shown = f"uri={self._site.uri(self._target)}"
        yield self._figure("write, the lab's disk", door, self._write, writing, ("nbd", shown))

    @contextlib.contextmanager
    def _plain_files(self, files: dict[str, Path]) -> Iterator[None]:
        self._site.lab.vddk.plain_files.update(files)
        try:
            yield
        finally:
            self._site.lab.vddk.plain_files.clear()

    def _figure(
        self,
        what: str,
        reference: str,
        move: Callable[[DiskDescription], Run],
        vddk: DiskDescription,
        nbdkit: tuple[object, ...],
    ) -> Figure:
        def by_nbd() -> Run:
            with servers.nbdkit(*nbdkit) as running:
                return move(running.disk)

        cases: dict[str, Subject] = {
            f"{what}: vddk": partial(_with_servers, partial(move, vddk)),
            f"{what}: nbd": partial(_with_servers, by_nbd),
        }
        if move == self._write:
            # Once before it counts: memory that was never written is dear, and the first one pays.
            by_nbd()
        runs = self._bench.compare("vddk", cases, self._rounds)
        ours, theirs = runs.values()
        spent = [per_gib(cpu(side), self._size) for side in (ours, theirs)]
        return Figure(
            "vddk", what, typical_ratio(theirs, ours), reference, GOAL,
            note=f"CPU {spent[0]:.2f} against {spent[1]:.2f} s/GiB",
        )  # fmt: skip

    @property
    def _rounds(self) -> int:
        wanted = 1 if self._bench.quick else max(_ROUNDS, self._bench.rounds)
        return wanted + wanted % 2

    def _read(self, source: DiskDescription) -> Run:
        plan = ReadPlan(source, None, self._size, "allocated", connections=CONNECTIONS)
        return subjects.read_plan(plan)

    def _write(self, target: DiskDescription) -> Run:
        # Zeros over data VDDK writes like data, plain NBD does not.
        plan = WritePlan(target, self._size, None, drop_zeros=True)
        return subjects.write_plan(plan, self._segment)


def _with_servers(start: Callable[[], Run]) -> Run:
    """With the time that a server of its own takes to start and to end, which is the mover's where
    that starts it; and with the CPU time of all servers, the lab's too, which end a little after
    their clients.
    """
    with Meter() as whole:
        begun = time.monotonic()
        run = start()
        run.wall = time.monotonic() - begun
        processes.settle()
    run.cpu = whole.cpu
    return run


def _address(machine: Machine, up: int = 0) -> DiskAddress:
    """The first disk, as it is now or as its file was `up` snapshots ago."""
    backing = machine.device(KEY).backing
    for _ in range(up):
        backing = backing.parent
    return DiskAddress(machine.guest.moref, KEY, backing.fileName)


def _access(site: BenchSite, found: str) -> VddkAccess:
    lab = site.lab
    common = VddkDisk(
        server=lab.host,
        port=lab.port,
        user=lab.user,
        password=lab.password,
        thumbprint=lab.thumbprint,
        libdir=str(lab.vddk.libdir),
        plugin=found,
    )
    limits = Limits(str(site.directory / "slots"), 40, 10)
    return VddkAccess(common, True, READING_MODES, READING_MODES, limits)
