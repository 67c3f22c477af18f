# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Plugin: the same data through the plugin in the loopback file daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from tests.bench import subjects
from tests.bench.bench import Bench
from tests.bench.figures import Figure, typical, wall
from tests.bench.meter import Run
from tests.bench.site import KEY, BenchSite
from tests.e2e.machine import Machine


def run(bench: Bench) -> Iterator[Figure]:
    """A Full and a restore of a VM with one disk, against the mover alone on the same disk's door.

    The mover's stream is thrown away, or stored on the file system that has the daemon's volumes.
    """
    size, rounds = bench.scaled(0.5), min(2, bench.rounds)
    image, segment = bench.warm_mix(size), bench.segment(size)
    with bench.memory_folder("plugin") as memory:
        site = BenchSite(bench.folder("plugin"), memory)
        try:
            machine = site.create("big", [size])
            site.fill(machine, image)
            frozen = machine.snapshot("filled")
            door = site.endpoint(machine, frozen._moId)

            told = {"source": door, "header": {}, "capacity": size, "method": "allocated"}

            def alone() -> Run:
                return subjects.read_plan(told)

            def alone_stored() -> Run:
                stream = memory / "stream"
                done = subjects.read_plan(told, into=stream)
                stream.unlink()
                return done

            def job() -> Run:
                done, result = site.run_backup("big")
                site.forget(result.jobid)
                return done

            names = ("mover, backup", "mover, backup, stored", "job, backup")
            runs = bench.compare("plugin", dict(zip(names, (alone, alone_stored, job))), rounds)
            thrown_away, stored, jobs = (runs[name] for name in names)
            yield from _figures("backup", thrown_away, jobs, "the mover alone, its stream lost")
            yield from _figures("backup", stored, jobs, "the mover alone, its stream stored")

            def alone_back() -> Run:
                target = site.create("target", [size], datastore="datastore2")
                told = {"target": site.endpoint(target), "capacity": size}
                done = subjects.write_plan(told, segment)
                target.destroy()
                return done

            _, saved = site.run_backup("big")

            def job_back() -> Run:
                done, _ = site.run_restore("big", vmname="copy", restore_datastore="datastore2")
                copy = site.find("copy")
                if "copy" not in checked:
                    checked.append("copy")
                    _check(site, copy, image)
                copy.destroy()
                return done

            checked: list[str] = []
            runs = bench.compare(
                "plugin", {"mover, restore": alone_back, "job, restore": job_back}, rounds
            )
            reference = "the mover alone on the same door"
            alone_runs, job_runs = runs.values()
            yield from _figures("restore", alone_runs, job_runs, reference)
            site.forget(saved.jobid)
        finally:
            site.close()


def _figures(way: str, alone: list[Run], job: list[Run], reference: str) -> Iterator[Figure]:
    flowing = typical(job, lambda run: run.more["data_seconds"])
    yield Figure("plugin", f"{way}, while data flow", wall(alone) / flowing, reference, 0.95)
    yield Figure("plugin", f"{way}, the whole job", wall(alone) / wall(job), reference)


def _check(site: BenchSite, copy: Machine, image: object) -> None:
    """What is fast must be right as well."""
    uri = site.uri(copy, key=KEY)
    command = f"nbdcopy --connections=1 '{uri}' - | cmp - '{image}'"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
