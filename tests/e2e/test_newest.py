# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which of several selected time points comes back, whatever the clocks of file daemons say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vmsnap_lab.filedaemon import JobResult

from .hardware import MIB
from .joblog import check_failed, log, said
from .machine import Machine
from .portrait import Portrait
from .site import Site

HOUR = 3600


class History:
    """Backups of web1, and what its disks held at each: read from the lab's storage."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.machine: Machine = site.create(disks=[MIB, MIB])
        self.jobs: list[JobResult] = []
        self.seen: list[Portrait] = []

    def backup(self, level: str = "Incremental", clock: int = 0) -> JobResult:
        """Change the VM, then save it by a file daemon whose clock is so many seconds ahead."""
        number = len(self.jobs) + 1
        self.machine.scribble(f"before {number}")
        self.machine.snapshot(f"s{number}")
        self.machine.scribble(f"after {number}")
        self.seen.append(self.machine.portrait())
        self.site.daemon.clock_ahead = clock
        job = self.site.backup(level=level)
        self.site.daemon.clock_ahead = 0
        assert job.status in "TW", log(job)
        self.jobs.append(job)
        return job

    def check_restored(self, jobs: Sequence[int] | None, number: int, **how: Any) -> JobResult:
        """The restore of these jobs brings back what was saved by the job of that number."""
        job = self.site.restore(jobs, vmname="copy", **how)
        assert job.status in "TW", log(job)
        copy = self.site.find("copy")
        assert copy.portrait().faces == self.seen[number - 1].faces, log(job)
        copy.destroy()
        return job


@pytest.fixture
def history(site: Site) -> History:
    return History(site)


def test_a_clock_that_was_ahead_and_was_mended(history: History) -> None:
    history.backup("Full", clock=3 * HOUR)
    second = history.backup()
    assert "lies in the future" in " ".join(said(second, "M_WARNING")), log(second)
    job = history.check_restored(None, 2)
    assert "clock" in " ".join(said(job, "M_WARNING")), log(job)
    history.backup()
    history.check_restored(None, 3)


def test_two_proxies_whose_clocks_are_hours_apart(history: History) -> None:
    for number, clock in enumerate((0, 5 * HOUR, -4 * HOUR, 0), 1):
        history.backup("Full" if number == 1 else "Incremental", clock)
        history.check_restored(None, number)


def test_two_full_jobs_and_a_clock_that_was_ahead(history: History) -> None:
    """Neither descends from the other: the Director's job ids decide."""
    history.backup("Full", clock=3 * HOUR)
    history.backup("Full")
    job = history.check_restored([job.jobid for job in history.jobs], 2)
    assert "job id" in " ".join(said(job)), log(job)
    assert "clock" in " ".join(said(job, "M_WARNING")), log(job)


def test_a_full_job_does_not_mind_the_clock_of_the_one_before(history: History) -> None:
    history.backup("Full", clock=HOUR)
    assert said(history.backup("Full"), "M_WARNING") == []


def test_a_virtual_full_beside_an_older_job(history: History) -> None:
    """The newer time point's manifest is a file only: it must not be passed over silently."""
    first, second = (history.backup(level).jobid for level in ("Full", "Incremental"))
    virtual = history.site.daemon.virtual_full([first, second]).jobid
    history.check_restored([virtual], 2)
    history.check_restored([second, virtual], 2)
    job = history.site.restore([first, virtual], vmname="copy")
    newer = next(file.name for file in history.jobs[1].files if file.name.endswith(".json"))
    point = newer.rpartition("/manifest.")[2][: -len(".json")]
    message = check_failed(job, rf"holds a newer time point, {point}.*restore_timepoint")
    assert "[manifest-newer]" in message
    history.site.find("copy (incomplete restore)").destroy()
    point = next(
        file.name.rpartition("/manifest.")[2][: -len(".json")]
        for file in history.jobs[0].files
        if file.name.endswith(".json")
    )
    history.check_restored([first, virtual], 1, restore_timepoint=point)


def test_the_time_point_of_a_virtual_full_beside_an_older_job(history: History) -> None:
    """It is asked for, and only its manifest's file tells of it."""
    first, second = (history.backup(level).jobid for level in ("Full", "Incremental"))
    virtual = history.site.daemon.virtual_full([first, second]).jobid
    newer = next(file.name for file in history.jobs[1].files if file.name.endswith(".json"))
    point = newer.rpartition("/manifest.")[2][: -len(".json")]
    history.check_restored([first, virtual], 2, restore_timepoint=point)
    job = history.site.restore([first, virtual], vmname="copy", restore_timepoint="T9")
    message = check_failed(job, f"there is no time point T9; the selected jobs hold .*{point}")
    assert "time-point-unknown" in message
    assert history.site.vm_names() == ["web1"]


def test_a_virtual_full_beside_a_newer_job(history: History) -> None:
    first, second = (history.backup(level).jobid for level in ("Full", "Incremental"))
    virtual = history.site.daemon.virtual_full([first, second]).jobid
    third = history.backup().jobid
    history.check_restored([virtual, third], 3)
