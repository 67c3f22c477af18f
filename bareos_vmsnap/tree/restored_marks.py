# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which snapshots did a restore make? CBT cannot be trusted above these.

A restore writes a mark into the VM's configuration, a new one for every node before it writes the
node's disks, and takes it off at the end. Snapshots freeze it, and a revert to such a snapshot
brings it back: what users take then has a mark too, but not one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional


def mark(number: int, job: str) -> str:
    """The mark of a job's `number`-th node; "/" is not allowed in names of jobs."""
    return f"{number}/{job}"


def job(mark: str) -> str:
    """The unique name of the job that wrote the mark."""
    return mark.partition("/")[2] if _is_numbered(mark) else mark


def made_by_restore(
    marks: Mapping[str, Optional[str]], parents: Mapping[str, Optional[str]]
) -> set[str]:
    """The morefs of the snapshots that a restore made, of all snapshots of a VM.

    A mark was new when its snapshot was taken, so no snapshot above that one has it: one that has
    an ancestor with the same mark is a user's. If the ancestor was deleted, a user's snapshot
    counts as restored, which is slow and never wrong. So does one with a mark without a number.
    """
    made = set()
    for moref, mark in marks.items():
        if mark is not None and (
            not _is_numbered(mark) or mark not in _ancestors(moref, marks, parents)
        ):
            made.add(moref)
    return made


def _ancestors(
    moref: str, marks: Mapping[str, Optional[str]], parents: Mapping[str, Optional[str]]
) -> set[Optional[str]]:
    found = set()
    at = parents.get(moref)
    while at is not None:
        found.add(marks.get(at))
        at = parents.get(at)
    return found


def _is_numbered(mark: str) -> bool:
    number, slash, _ = mark.partition("/")
    return bool(slash) and number.isdecimal()
