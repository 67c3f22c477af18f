# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs during which somebody acts: they fail loudly, or are exact."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any, Optional

from pyVim.task import WaitForTask

from tests.e2e import joblog
from tests.proof import deeds, leftovers
from tests.proof.accounting import Accounting
from tests.proof.jobs import RESTORED, Point, failed
from tests.proof.somebody import Somebody, When
from vmsnap_lab.filedaemon import Cancel, JobResult

# After these calls the restore looks no more: what is done then is done to a restored VM.
AFTER_THE_LAST_LOOK = ("Logout",)
KILL, ANOTHER_JOB = "the job is killed", "another daemon's job"
DURING_BACKUPS = (*deeds.DURING_BACKUPS, KILL, ANOTHER_JOB)
DURING_RESTORES = (*deeds.DURING_RESTORES, KILL)


class Disturbed(Accounting):
    """Backups and restores with somebody who acts before one of their calls."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        # Calls that the last job of a kind made.
        self._calls = {"backup": 60, "restore": 40}

    def disturbed_backup(self, level: str, by: int, deed: str, which: int, when: When) -> None:
        """The next job of anybody must end well, which backup() checks."""
        if deed == "rename the job's" and self._snapshots_of_others(-1):
            return  # of a job that died: from then on it is a user's
        if deed == ANOTHER_JOB:
            other = (by + 1 + which % 2) % len(self.daemons)
            self._backups_at_once(level, by, other, when, 20 * (which // 2))
            return
        cancel = Cancel(signal=signal.SIGKILL) if deed == KILL else None
        hands = deeds.Hands(self.lab, self.stub, self.moref, which)

        def act() -> bool:
            if cancel is not None:
                cancel.request()
                return True
            try:
                return deeds.DURING_BACKUPS[deed](hands)
            finally:
                self.moments.users_acted(self.moref)

        in_the_way = self._snapshots_of_others(by)
        somebody = Somebody(act, when, self.mine)
        with somebody.around(self.lab, self._calls["backup"]):
            job = self.run_backup(by, level, cancel=cancel)
        if job.status == "T":
            self._calls["backup"] = len(somebody.calls)
        killed = cancel is not None and somebody.done is not None
        if killed:
            self._buried()
        self._calm_down()
        if killed and job.status == "f":
            self.check_nothing_left()
            outcome = "killed"
        else:
            outcome = self._outcome(by, job)
            # Unless somebody deleted it meanwhile.
            stopped = "leftover-of-others" in outcome
            assert not in_the_way or stopped or somebody.done is not None, joblog.log(job)
        self._count(f"backup, {deed}", somebody, outcome)

    def _outcome(self, by: int, job: JobResult) -> str:
        if job.status == "f":
            message = joblog.check_failed(job, "")
            self.check_nothing_left()
            return failed(message)
        assert job.status in "TW", joblog.log(job)
        point = self.ended_well(by, job)
        self.check_nothing_left()
        self.check_exact(point)
        return "exact"

    def _backups_at_once(self, level: str, by: int, other: int, when: When, calls: int) -> None:
        """Another daemon's job begins before a call of the first one, and runs beside it.

        The first one goes on when the other has made some calls, or has ended.
        """
        second: list[JobResult] = []
        thread = threading.Thread(target=lambda: second.append(self.start_backup(other, level)))

        def act() -> bool:
            thread.start()
            while thread.is_alive() and somebody.meanwhile < calls:
                time.sleep(0.01)
            return True

        somebody = Somebody(act, when, self.mine)
        with somebody.around(self.lab, self._calls["backup"]), self.moments.watched(self.moref):
            first = self.start_backup(by, level)
            if somebody.done is not None:
                thread.join()
        outcomes = [self._outcome(by, first)]
        outcomes += [self._outcome(other, job) for job in second]
        self._count(f"backup, {ANOTHER_JOB}", somebody, " and ".join(sorted(outcomes)))

    def disturbed_restore(self, which: int, deed: str, choice: int, when: When) -> None:
        """Of one of the time points, into a new VM, which somebody finds there."""
        if not self.points:
            return
        point = self.points[which % len(self.points)]
        cancel = Cancel(signal=signal.SIGKILL) if deed == KILL else None

        def act() -> bool:
            moref = self._restored()
            if moref is None:
                return False
            if cancel is not None:
                cancel.request()
                return True
            hands = deeds.Hands(self.lab, self.stub, moref, choice)
            return deeds.DURING_RESTORES[deed](hands)

        somebody = Somebody(act, when, self.mine)
        with somebody.around(self.lab, self._calls["restore"]):
            job = self.run_restore(point.daemon, self.jobs_for(point), point, cancel=cancel)
        if job.status == "T":
            self._calls["restore"] = len(somebody.calls)
        killed = cancel is not None and somebody.done is not None
        if killed:
            self._buried()
        outcome = "exact"
        if killed and job.status == "f":
            outcome = self._killed_restore(point)
            self.remove_restored()
            self.check_nothing_left()
        elif job.status == "f":
            outcome = self.check_loud(job)
        elif somebody.done in AFTER_THE_LAST_LOOK:
            outcome = "after the end"
            self.remove_restored()
        else:
            assert job.status in "TW", joblog.log(job)
            self.check_restored(point.saved, job)
        self._count(f"restore, {deed}", somebody, outcome)

    def _killed_restore(self, point: Point) -> str:
        """What is left does not look complete, or is."""
        if RESTORED not in self.site.vm_names():
            return "killed"
        differences = self.how_it_differs(self.lab.guest(RESTORED).moref, point.saved)
        assert not differences, f"an incomplete VM looks complete: {differences}"
        return "killed at the end"

    def _count(self, what: str, somebody: Somebody, outcome: str) -> None:
        if somebody.done is None and somebody.tried:
            outcome = f"refused, at least in the end; {outcome}"
        elif somebody.done is None:
            assert outcome == "exact" or "leftover-of-others" in outcome, "nobody disturbed it"
            outcome = "came too late"
        self.counts[f"{what}: {outcome}"] += 1

    def _restored(self) -> Optional[str]:
        for vm in self.lab.vcenter.vms():
            if vm.moid != self.moref:
                return vm.moid
        return None

    def _buried(self) -> None:
        """A job's process was killed: vCenter keeps its session, and its snapshot stays.

        What vCenter has begun for it is done first.
        """
        while any(task.info.state == "running" for task in self.lab.vcenter.tasks.recentTask):
            time.sleep(0.01)
        self.mine |= self._sessions()
        self.spools |= set(leftovers.spools_of(self.daemons))
        here = {each.moid for each in self.store.snapshots(self.moref)}
        self.moments.dead |= self.moments.left & here

    def _calm_down(self) -> None:
        """What users left running is switched off; the reference learns what they did."""
        if self.vm.runtime.powerState == "poweredOn":
            WaitForTask(self.vm.PowerOffVM_Task())
        self.look()
