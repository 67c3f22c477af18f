# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""bareos-fd runs each job in an interpreter of its own: some of Python works in the first one only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bareos_vmsnap

PRODUCT = Path(bareos_vmsnap.__file__).parent
# datetime.strptime() and time.strptime() keep a module of the interpreter that first used them:
# "'NoneType' object is not callable" in later jobs.
BROKEN = ("strptime",)


def used(source: str) -> list[str]:
    names = (n.attr if isinstance(n, ast.Attribute) else "" for n in ast.walk(ast.parse(source)))
    return [name for name in names if name in BROKEN]


@pytest.mark.parametrize(
    "path", sorted(PRODUCT.rglob("*.py")), ids=lambda path: path.relative_to(PRODUCT).as_posix()
)
def test_nothing_that_works_in_the_first_job_only(path: Path) -> None:
    assert used(path.read_text()) == []


def test_it_would_be_seen() -> None:
    assert used("import datetime\ndatetime.datetime.strptime('2026', '%Y')") == ["strptime"]
