# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The Director's choices: what a backup builds on, what a restore brings back, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

from vmsnap_lab.filedaemon import catalog, result
from vmsnap_lab.filedaemon.bareos_modules import bareosfd

_LEVELS = {"full": "F", "incremental": "I", "differential": "D"}
_REPLACE = {"always": "a", "ifnewer": "w", "ifolder": "o", "never": "n"}
_CONSOLE_LINE = 1000  # characters; bconsole cuts what is longer


def level_letter(level: str) -> str:
    """F, I or D for the level's name or letter. Raises ValueError."""
    letter = _LEVELS.get(level.lower(), level)
    if letter not in _LEVELS.values():
        raise ValueError(f"no backup level: {level!r}")
    return letter


def replace_letter(policy: str) -> str:
    """The letter of a restore's replace policy. Raises ValueError."""
    if policy not in _REPLACE:
        raise ValueError(f"no replace policy: {policy!r}")
    return _REPLACE[policy]


def console_options(options: str) -> str:
    """What is left of `pluginoptions=` typed into bconsole. Raises ValueError if it is refused."""
    if " " in options:
        raise ValueError("bconsole does not take a space in pluginoptions")
    if len(options) > _CONSOLE_LINE:
        raise ValueError(f"bconsole cuts pluginoptions longer than {_CONSOLE_LINE} characters")
    return options.replace("\\", "")


def base_job(
    jobs: Sequence[result.CatalogJob], name: str, level: str
) -> Optional[result.CatalogJob]:
    """The job that an Incremental or Differential of that name builds on; None without a Full.

    A Differential builds on the newest Full, an Incremental on the newest job of any level. Jobs
    with warnings count, failed and canceled ones do not.
    """
    done = _usable(jobs, name)
    fulls = [job for job in done if job.level == "F"]
    if level == "F" or not fulls:
        return None
    return fulls[-1] if level == "D" else done[-1]


def current_jobs(jobs: Sequence[result.CatalogJob], name: str) -> list[result.CatalogJob]:
    """The newest Full, the newest Differential after it, the Incrementals after both, in order."""
    done = _usable(jobs, name)
    chain: list[result.CatalogJob] = []
    for job in done:
        if job.level == "F":
            chain = [job]
        elif chain and job.level == "D":
            chain = [chain[0], job]
        elif chain:
            chain.append(job)
    return chain


def restore_jobs(
    jobs: Sequence[result.CatalogJob], name: str, jobids: Optional[Sequence[int]]
) -> list[result.CatalogJob]:
    """The jobs to restore from, oldest first: those with these ids, or the current ones of a name.

    Raises LookupError.
    """
    if jobids is None:
        return current_jobs(jobs, name)
    found = [job for job in jobs if job.jobid in jobids and job.type in "BC"]
    missing = set(jobids) - {job.jobid for job in found}
    if missing:
        raise LookupError(f"there is no backup job {min(missing)}")
    return sorted(found, key=lambda job: (job.start_time, job.jobid))


def _usable(jobs: Sequence[result.CatalogJob], name: str) -> list[result.CatalogJob]:
    """Backups of that name that ended well, oldest first; a VirtualFull follows its sources."""
    found = [job for job in jobs if job.name == name and job.type == "B" and job.status in "TW"]
    return sorted(found, key=lambda job: (job.start_time, job.jobid))


def newest_versions(
    files: Sequence[Sequence[catalog.StoredFile]], select: Optional[Callable[[str], bool]] = None
) -> list[catalog.StoredFile]:
    """The files to restore from the files of some jobs, oldest job first.

    Of each name only the newest version, at the place it has in its own job; no name that a later
    job found deleted; of these the names that `select` accepts.
    """
    newest: dict[str, catalog.StoredFile] = {}
    for of_one_job in files:
        for stored in of_one_job:
            newest.pop(stored.file.name, None)
            if stored.file.file_index != catalog.DELETED:
                newest[stored.file.name] = stored
    return [stored for stored in newest.values() if select is None or select(stored.file.name)]


def object_order(objects: Sequence[result.CatalogObject]) -> list[result.CatalogObject]:
    """Objects to restore first before plugin configurations, by index; jobs in this order."""
    kinds = (bareosfd.FT_RESTORE_FIRST, bareosfd.FT_PLUGIN_CONFIG)
    return [
        found
        for kind in kinds
        for found in sorted(objects, key=lambda found: found.index)
        if found.type == kind
    ]
