# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What is stored comes back damaged: it is refused, or the restore is exact all the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e import joblog
from tests.proof.mixes import Mixes


def flip(whole: bytes, other: bytes, source: random.Random) -> bytes:
    """One bit."""
    changed = bytearray(whole)
    if changed:
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def flip_in_the_head(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return flip(whole[:2000], other, source) + whole[2000:]


def cut(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return whole[: source.randrange(len(whole) + 1)]


def cut_a_little(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return whole[: -source.randrange(1, 40)]


def continued(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return whole + other[: source.randrange(1, 1000)]


def swapped(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return other


def spliced(whole: bytes, other: bytes, source: random.Random) -> bytes:
    """It begins as itself and ends as another one."""
    at = source.randrange(len(whole) + 1)
    return whole[:at] + other[at:]


def zeroed(whole: bytes, other: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(whole) + 1)
    return whole[:at] + bytes(len(whole[at : at + 512])) + whole[at + 512 :]


def empty(whole: bytes, other: bytes, source: random.Random) -> bytes:
    return b""


WAYS: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    way.__name__.replace("_", " "): way
    for way in (
        flip,
        flip_in_the_head,
        cut,
        cut_a_little,
        continued,
        swapped,
        spliced,
        zeroed,
        empty,
    )
}
KINDS = ("segment", "manifest", "object", "nvram")


class Damage(Mixes):
    """Damages a file or a restore object while a time point is restored."""

    def damaged_restore(self, which: int, kind: str, way: str, seed: int, virtual: bool) -> None:
        """`virtual`: from a VirtualFull, which has no restore objects."""
        if not self.points:
            return
        point = self.points[which % len(self.points)]
        daemon, jobs = self.daemons[point.daemon], self.jobs_for(point)
        source = random.Random(seed)
        with ExitStack() as stack:
            if virtual:
                jobs = [daemon.virtual_full(jobs).jobid]
                stack.callback(daemon.purge_job, jobs[0])
            if kind == "object":
                jobid = source.choice(jobs)
                hurt = self._hurt_object(point.daemon, jobid, way, source)
            else:
                hurt = self._hurt_file(point.daemon, jobs, kind, way, source)
            with hurt as done:
                asked = point if source.random() < 0.7 else None
                job = self.run_restore(point.daemon, jobs, asked)
        outcome = "exact"
        if job.status == "f":
            outcome = self.check_loud(job)
        else:
            assert job.status in "TW", joblog.log(job)
            self.check_restored(point.saved, job)
        self.counts[f"damaged {kind}, {way}: {outcome if done else 'nothing to damage'}"] += 1

    @contextmanager
    def _hurt_object(self, by: int, jobid: int, way: str, source: random.Random) -> Iterator[bool]:
        daemon = self.daemons[by]
        found = daemon.restore_objects(jobid)
        others = [each for job in self.backups_of(by) for each in daemon.restore_objects(job)]
        if not found:
            yield False
            return
        position = source.randrange(len(found))
        whole = found[position].data
        daemon.replace_object(jobid, position, WAYS[way](whole, source.choice(others).data, source))
        try:
            yield True
        finally:
            daemon.replace_object(jobid, position, whole)

    @contextmanager
    def _hurt_file(
        self, by: int, jobs: list[int], kind: str, way: str, source: random.Random
    ) -> Iterator[bool]:
        daemon = self.daemons[by]
        ending = {"segment": ".vmseg", "manifest": ".json", "nvram": ".nvram"}[kind]
        names = [
            (job, file.name)
            for job in jobs
            for file in daemon.files(job)
            if file.name.endswith(ending)
        ]
        if not names:
            yield False
            return
        (jobid, name), (from_job, from_name) = source.choice(names), source.choice(names)
        with daemon.read_file(jobid, name) as one, daemon.read_file(from_job, from_name) as two:
            hurt = WAYS[way](one.read(), two.read(), source)
        with daemon.replaced_file(jobid, name, hurt):
            yield True
