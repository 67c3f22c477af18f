# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How jobs ended and what their logs say."""

from __future__ import annotations

import re

from .bareos import Job


def check_ok(job: Job) -> None:
    """The job ended well and nobody warned of anything."""
    assert job.status == "T", job.log
    assert not re.search(r"Warning:|Error:|Fatal error:", _without_mail(job.log)), job.log


def check_failed(job: Job, pattern: str) -> str:
    """The job failed with one fatal message of the plugin, which fits; return the log."""
    assert job.status == "f", job.log
    fatal = re.findall(r"Fatal error: python3-fd-mod: (vmsnap: .*)", job.log)
    assert len(fatal) == 1, job.log
    assert re.search(pattern, fatal[0]), job.log
    assert "fault of bareos-vmsnap" not in job.log
    return job.log


def _without_mail(log: str) -> str:
    """Without the summary at the end, whose rows are called like messages."""
    return re.sub(r"^ +\S[^\n]*Errors:.*$", "", log, flags=re.MULTILINE)


def timepoint(job: Job) -> str:
    """The time point a backup saved."""
    (found,) = re.findall(r"time point (\S+)$", job.log, flags=re.MULTILINE)
    return str(found)
