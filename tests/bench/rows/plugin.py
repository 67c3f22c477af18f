# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Plugin: the same data through the plugin in the loopback file daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bareos_vmsnap.mover.plan import ReadPlan, WritePlan
from tests.bench import subjects
from tests.bench.bench import Bench, Subject
from tests.bench.figures import Figure, typical, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine

_VM = "big"
_ALONE = "the mover alone on the same door"


def run(bench: Bench) -> Iterator[Figure]:
    """A Full and a restore of a VM with one disk, against the mover alone on the same disk's door."""
    with bench.memory_folder("plugin") as memory:
        site = BenchSite(bench.folder("plugin"), memory)
        try:
            comparison = _Comparison(bench, site, memory)
            yield from comparison.backups()
            yield from comparison.restores()
        finally:
            site.close()


class _Comparison:
    """`memory`: a folder on the file system that has the daemon's volumes."""

    def __init__(self, bench: Bench, site: BenchSite, memory: Path) -> None:
        self._bench = bench
        self._site = site
        self._stream = memory / "stream"
        self._size = size = bench.scaled(0.5)
        self._image, self._segment = bench.warm_mix(size), bench.segment(size)
        machine = site.create(_VM, [size])
        site.fill(machine, self._image)
        frozen = machine.snapshot("filled")
        door = site.disk(machine, frozen._moId)
        self._read = ReadPlan(door, None, size, "allocated")
        self._saved: list[int] = []  # the newest job
        self._checked = False

    def backups(self) -> Iterator[Figure]:
        """Streams are thrown away on both sides, or stored on the same file system on both."""
        for way, lost in (("lost", True), ("stored", False)):
            cases: dict[str, Subject] = {
                f"mover, backup, {way}": partial(self._alone, lost),
                f"job, backup, {way}": partial(self._job, lost),
            }
            runs = self._bench.compare("plugin", cases, min(2, self._bench.rounds))
            yield from _figures(f"backup, {way}", *runs.values())

    def restores(self) -> Iterator[Figure]:
        """Of what the last job has stored."""
        # Once before it counts: memory that was never written is dear, and the first one pays.
        self._alone_back()
        runs = self._bench.compare(
            "plugin", {"mover, restore": self._alone_back, "job, restore": self._job_back}
        )
        yield from _figures("restore", *runs.values())
        self._site.forget(*self._saved)

    def _alone(self, lost: bool) -> Run:
        done = subjects.read_plan(self._read, into=None if lost else self._stream)
        self._stream.unlink(missing_ok=True)
        return done

    def _job(self, lost: bool) -> Run:
        self._site.forget(*self._saved)
        done, result = self._site.run_backup(_VM, lost=lost)
        self._saved = [result.jobid]
        return done

    def _alone_back(self) -> Run:
        target = self._site.create("target", [self._size], datastore="datastore2")
        plan = WritePlan(self._site.disk(target), self._size, None)
        done = subjects.write_plan(plan, self._segment)
        target.destroy()
        return done

    def _job_back(self) -> Run:
        done, _ = self._site.run_restore(_VM, vmname="copy", restore_datastore="datastore2")
        copy = self._site.find("copy")
        if not self._checked:
            _check(self._site, copy, self._image)
            self._checked = True
        copy.destroy()
        return done


def _figures(way: str, alone: list[Run], job: list[Run]) -> Iterator[Figure]:
    flowing = typical(job, lambda run: run.more["data_seconds"])
    yield Figure("plugin", f"{way}, while data flow", wall(alone) / flowing, _ALONE, 0.95)
    yield Figure("plugin", f"{way}, the whole job", wall(alone) / wall(job), _ALONE)


def _check(site: BenchSite, copy: Machine, image: object) -> None:
    """What is fast must be right as well."""
    uri = site.uri(copy, key=KEY)
    command = f"nbdcopy --connections=1 '{uri}' - | cmp - '{image}'"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
