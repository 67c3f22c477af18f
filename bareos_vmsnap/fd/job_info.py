# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a job knows about itself and the daemon it runs in."""

from __future__ import annotations

import datetime
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bareos_vmsnap.tree import names, plan_backup

_LEVELS = {"F": "Full", "I": "Incremental", "D": "Differential"}


@dataclass(frozen=True)
class JobInfo:
    """The job's identity; `unique_name` is Bareos' own ("job.2026-11-22_10.00.00_05").

    `cancel` is set from another thread when the job is canceled.
    """

    jobid: int
    unique_name: str
    level: str
    host: str
    working_directory: Path
    cancel: threading.Event = field(default_factory=threading.Event)
    started: datetime.datetime = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc)
    )

    @property
    def timepoint(self) -> str:
        """The id of the time point this job saves."""
        return names.timepoint(self.started, self.jobid)

    @property
    def level_name(self) -> str:
        """The level as a word."""
        return _LEVELS.get(self.level, self.level)

    def planned(self) -> plan_backup.Job:
        """The job as the planner knows it."""
        return plan_backup.Job(
            name=self.unique_name,
            jobid=self.jobid,
            level=self.level,
            timepoint=self.timepoint,
            taken=self.started.isoformat(timespec="seconds"),
        )
