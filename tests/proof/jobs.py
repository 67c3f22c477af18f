# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs of several file daemons, and what a restore of each must bring back."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from pyVim.task import WaitForTask
from pyVmomi import vim

from tests.e2e import joblog
from tests.e2e.site import REPOSITORY, Site
from tests.proof import comparison, leftovers, reference
from tests.proof.users import NAME, Users
from vmsnap_lab.filedaemon import Cancel, FileDaemon, JobResult

LEVELS = ("Full", "Incremental", "Differential")
RESTORED = "restored"


@dataclass
class Point:
    """A backup that ended well. saved: what it may have saved, see moments.py."""

    daemon: int
    jobid: int
    saved: list[reference.Machine]


class Jobs(Users):
    """daemons: of the first two the hosts have the same name, that of the third has another one.

    Each has a Director and a catalog of its own. Jobs reach disks by `transport`; `product` is
    where the plugin is. counts: what was done, and how it ended.
    """

    transport = "nbd"
    product = REPOSITORY

    def __init__(self, disks: int = 2, sizes: int = 0, flavour: str = "vcenter") -> None:
        self.place = Path(tempfile.mkdtemp(prefix="vmsnap-proof-"))
        self.site = Site(self.place, vddk=self.transport == "vddk", flavour=flavour)
        super().__init__(self.site.lab, disks, sizes)
        self.daemons = [
            FileDaemon(self.place / name, plugin_path=self.product)
            for name in ("bareos", "bareos2", "bareos3")
        ]
        self.daemons[2].host_name = "proxy3"
        self.daemon = self.daemons[0]
        self.without_cbt = "compare"
        self.counts: Counter[str] = Counter()
        self.points: list[Point] = []
        self.mine = self._sessions()
        self.spools: set[Path] = set()  # of restores that were killed

    def close(self) -> None:
        self.lab.close()
        shutil.rmtree(self.place)

    # Backups

    def backup(self, level: str, audit: int = 0, by: int = 0) -> Optional[Point]:
        """A job that nobody disturbs must end well and save what the VM is.

        Unless a job of another daemon died: its snapshot is in the way, and the job says so.
        """
        in_the_way = self._snapshots_of_others(by)
        job = self.run_backup(by, level, audit)
        if in_the_way:
            assert "[leftover-of-others]" in joblog.check_failed(job, ""), joblog.log(job)
            self.check_nothing_left()
            return None
        assert job.status == "T", joblog.log(job)
        point = self.ended_well(by, job)
        (moment,) = point.saved
        differences = comparison.differences(moment, self.machine)
        assert not differences, f"the lab and the reference differ: {differences}"
        self.check_nothing_left()
        return point

    def run_backup(
        self, by: int, level: str, audit: int = 0, cancel: Optional[Cancel] = None
    ) -> JobResult:
        """However it ends."""
        with self.moments.watched(self.moref):
            return self.start_backup(by, level, audit, cancel)

    def start_backup(
        self, by: int, level: str, audit: int = 0, cancel: Optional[Cancel] = None
    ) -> JobResult:
        """The same while moments are watched already."""
        return self.daemons[by].backup(
            self.plugin(audit),
            name=self.job_name(by),
            level=level,
            cancel=cancel,
            environment=self._environment(),
        )

    def ended_well(self, by: int, job: JobResult) -> Point:
        assert (job.crash, job.hazards) == (None, ()), joblog.log(job)
        point = Point(by, job.jobid, self.moments.of(job.name))
        if "[nvram-changed]" in joblog.log(job):
            for machine in point.saved:
                machine.nvram = None
        self.points.append(point)
        self.counts["jobs"] += 1
        return point

    def job_name(self, by: int) -> str:
        return f"{NAME}{by}"

    def crashed_job(self) -> None:
        """A job of the first daemon died long ago."""
        self.leave_a_snapshot(socket.gethostname(), self.daemons[0].directory / "working")

    # Restores

    def restore(self, which: int) -> None:
        """Restore one of the time points into a new VM and compare everything."""
        if self.points:
            self.check_exact(self.points[which % len(self.points)])

    def check_exact(self, point: Point) -> None:
        job = self.run_restore(point.daemon, self.jobs_for(point), point)
        assert job.status == "T", joblog.log(job)
        self.check_restored(point.saved, job)

    def run_restore(
        self,
        by: int,
        jobs: Optional[Sequence[int]],
        point: Optional[Point] = None,
        cancel: Optional[Cancel] = None,
    ) -> JobResult:
        """However it ends. `point`: the time point that is asked for."""
        options = f"python3:vmname={RESTORED}"
        if point is not None:
            options += f":restore_timepoint={self.point_id(point)}"
        job = self.daemons[by].restore(
            jobs,
            name=self.job_name(by),
            plugin_options=options,
            cancel=cancel,
            environment=self._environment(),
        )
        if job.status == "T":
            self.spools -= set(leftovers.spools_of([self.daemons[by]]))
        return job

    def check_restored(self, saved: Sequence[reference.Machine], job: JobResult) -> None:
        """The restored VM is one of these in every byte, and is switched off. It is removed."""
        moref = self.lab.guest(RESTORED).moref
        differences = self.how_it_differs(moref, saved)
        differences = [each for each in differences if not _is_reported(each, job)]
        assert not differences, f"{differences}\n{joblog.log(job)}"
        self.counts["restores"] += 1
        self.remove_restored()
        self.check_nothing_left()

    def check_loud(self, job: JobResult) -> str:
        """The restore failed and said why, with ids; no VM looks as if it were whole.

        Return the outcome with these ids.
        """
        message = joblog.check_failed(job, "")
        assert RESTORED not in self.site.vm_names(), joblog.log(job)
        self.remove_restored()
        self.check_nothing_left()
        return failed(message)

    def how_it_differs(self, moref: str, saved: Sequence[reference.Machine]) -> list[str]:
        """From the one that it is most like."""
        found = self.store.restored(moref)
        differences = min((comparison.differences(found, wanted) for wanted in saved), key=len)
        if self.lab.guest(moref).vm.powerState != "poweredOff":
            differences = [*differences, "it is switched on"]
        return differences

    def remove_restored(self) -> None:
        """And what is left of it if the restore failed."""
        for vm in self.lab.vcenter.vms():
            if vm.moid != self.moref:
                left = vim.VirtualMachine(vm.moid, self.stub)
                if left.runtime.powerState == "poweredOn":
                    WaitForTask(left.PowerOffVM_Task())
                WaitForTask(left.Destroy_Task())

    def disaster(self) -> None:
        """The VM is lost, restored from a newest backup, and users go on with what came back."""
        if not self.points:
            return
        point = self.points[-1]
        WaitForTask(self.vm.Destroy_Task())
        job = self.daemons[point.daemon].restore(
            self.jobs_for(point), name=self.job_name(point.daemon), environment=self._environment()
        )
        assert job.status == "T", joblog.log(job)
        self.counts["restores"] += 1
        self.moref = self.lab.guest(NAME).moref
        differences = self.how_it_differs(self.moref, point.saved)
        assert not differences, f"{differences}\n{joblog.log(job)}"
        self.moments.left.clear()
        self.moments.dead.clear()
        self.look()

    # What the catalog of the lab says

    def jobs_for(self, point: Point) -> list[int]:
        """The last Full up to this job and all after it, as an admin selects them by date."""
        jobs = [job for job in self.backups_of(point.daemon) if job <= point.jobid]
        catalog = self.daemons[point.daemon]
        fulls = [jobid for jobid in jobs if catalog.job(jobid).level == "F"]
        return [jobid for jobid in jobs if not fulls or jobid >= fulls[-1]]

    def backups_of(self, by: int) -> list[int]:
        """Those that have ended well."""
        return sorted(point.jobid for point in self.points if point.daemon == by)

    def point_id(self, point: Point) -> str:
        """By the name of the manifest among the job's files."""
        files = self.daemons[point.daemon].files(point.jobid)
        (name,) = (f.name for f in files if "/manifest." in f.name and f.jobid == point.jobid)
        return name.rpartition("/manifest.")[2][: -len(".json")]

    # What is left

    def check_nothing_left(self) -> None:
        leftovers.check_none(
            self.site, self.daemons, self.mine, self._foreign_snapshots, self.spools
        )

    def _foreign_snapshots(self) -> list[str]:
        """Of jobs, but of none of those that died."""
        return [
            f"snapshot {each.name} of {vm.name}"
            for vm in self.lab.vcenter.vms()
            for each in vm.tree.all()
            if (each.moid in self.moments.left or each.name.startswith("vmsnap"))
            and each.moid not in self.dead
        ]

    def _snapshots_of_others(self, by: int) -> list[str]:
        """Of daemons that died."""
        mine = f"vmsnap backup {self.job_name(by)}."
        names = [each.name for each in self.store.snapshots(self.moref) if each.moid in self.dead]
        return [name for name in names if not name.startswith(mine)]

    @property
    def dead(self) -> set[str]:
        """Snapshots that jobs left which died."""
        return self.moments.dead

    def _sessions(self) -> set[str]:
        return {session.key for session in self.lab.vcenter.sessions.sessionList}

    # How jobs are run

    def plugin(self, audit: int = 0) -> str:
        return self.site.plugin(
            vmname=None,
            dc=None,
            uuid=self.lab.guest(self.moref).vm.config.instanceUuid,
            restore_powerstate="off",
            without_cbt=self.without_cbt,
            quiesce="no",
            audit=str(audit),
        )

    def _environment(self) -> dict[str, str]:
        return {"VMSNAP_SITE": self.site.mark, "TMPDIR": str(self.site.temporary)}


def _is_reported(difference: str, job: JobResult) -> bool:
    """Whether the job has named it: a restore cannot know who gave a snapshot another name."""
    found = difference.partition(" (")[0]
    return any(
        "[snapshot-renamed]" in text and text.rpartition(" to ")[2].startswith(f"{found} [")
        for text in joblog.said(job, "M_WARNING")
    )


def failed(message: str) -> str:
    """The outcome of a job with that fatal message."""
    return f"failed {message[message.rindex('[') :].strip()}"
