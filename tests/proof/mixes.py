# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Restores of wrong mixes of jobs: what is newest among them comes back, or they fail loudly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Optional

from tests.e2e import joblog
from tests.proof.disturbed import Disturbed
from tests.proof.jobs import Point
from vmsnap_lab.filedaemon import JobResult


class Mixes(Disturbed):
    """Selects jobs as no admin should."""

    def restore_mix(
        self,
        chosen: Sequence[int],
        gathered: Sequence[int],
        copied: Sequence[int],
        asked: Optional[int],
        without_objects: Sequence[int],
    ) -> None:
        """Of the newest point's daemon.

        chosen: jobs that are selected. gathered: jobs of which a VirtualFull is made, which is
        selected too. copied: jobs in whose place copies are selected. asked: the time point that
        is asked for. without_objects: jobs that lost their restore objects.
        """
        if not self.points:
            return
        by = self.points[-1].daemon
        points = {point.jobid: point for point in self.points if point.daemon == by}
        ids = list(points)

        def pick(numbers: Sequence[int]) -> list[int]:
            return [ids[number % len(ids)] for number in numbers]

        jobs, kept = pick(chosen), set(pick(chosen))
        catalog, newest, plain = self.daemons[by], max(jobs, default=0), True
        with ExitStack() as stack:
            if gathered:
                sources = sorted(set(pick(gathered)))
                jobs.append(catalog.virtual_full(sources).jobid)
                stack.callback(catalog.purge_job, jobs[-1])
                newest, plain = max(newest, sources[-1]), False
            for original in set(pick(copied)) & kept:
                copy = catalog.copy_job(original).jobid
                stack.callback(catalog.purge_job, copy)
                jobs = [copy if job == original else job for job in jobs]
                plain = False
            for jobid in set(pick(without_objects)):
                stack.enter_context(catalog.without_objects(jobid))
                plain = False
            if not jobs:
                return
            point = None if asked is None else points[ids[asked % len(ids)]]
            wanted = point or points[newest]
            job = self.run_restore(by, jobs, point)
        complete = plain and kept >= set(self.jobs_for(wanted))
        self._judge(wanted, complete, job)

    def _judge(self, wanted: Point, complete: bool, job: JobResult) -> None:
        outcome = "exact"
        if job.status == "f":
            outcome = self.check_loud(job)
            assert not complete, joblog.log(job)
        else:
            assert job.status in "TW", joblog.log(job)
            self.check_restored(wanted.saved, job)
        self.counts[f"{'mix, complete' if complete else 'mix'}: {outcome}"] += 1
