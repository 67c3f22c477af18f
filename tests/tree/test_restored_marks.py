# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which snapshots a restore made, by their marks."""

from __future__ import annotations

from typing import Optional

import pytest

from bareos_vmsnap.tree import restored_marks

ONE, TWO = restored_marks.mark(1, "job.7"), restored_marks.mark(2, "job.7")
PARENTS = {"a": None, "b": "a", "x": "a", "y": "x", "other root": None}


@pytest.mark.parametrize(
    ("marks", "made"),
    [
        ({}, ""),
        ({"a": None, "b": None}, ""),
        ({"a": ONE, "b": TWO}, "ab"),
        ({"a": ONE, "b": TWO, "x": ONE, "y": ONE}, "ab"),
        ({"a": ONE, "b": TWO, "x": ONE, "y": None}, "ab"),
        ({"a": None, "x": ONE, "y": ONE}, "x"),
        ({"a": "job.7", "x": "job.7", "y": "job.7"}, "axy"),
        ({"a": ONE, "b": restored_marks.mark(1, "job.8")}, "ab"),
    ],
    ids=["none", "no marks", "made", "reverted", "unmarked", "deleted", "without number", "jobs"],
)
def test_made_by_restore(marks: dict[str, Optional[str]], made: str) -> None:
    assert restored_marks.made_by_restore(marks, PARENTS) == set(made)


@pytest.mark.parametrize("job", ["job.2026-11-29_10.00.00_05", "7", "a b"])
def test_the_job_of_a_mark(job: str) -> None:
    assert restored_marks.job(restored_marks.mark(12, job)) == job
    assert restored_marks.job(job) == job
