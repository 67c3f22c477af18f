# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bareos_vmsnap.lab.lab import Lab
from bareos_vmsnap.lab.vcenter.habits import Habits

from .client import Client


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab, caplog: pytest.LogCaptureFixture) -> Iterator[Lab]:
    """The module's lab, with the habits of a new one; no call may make the simulation fail."""
    with caplog.at_level(logging.ERROR, logger="bareos_vmsnap"):
        yield shared_lab
    shared_lab.habits.forgive()
    fresh = Habits(cbt=shared_lab.habits.cbt)
    for name in vars(fresh):
        if not name.startswith("_") and name != "cbt":
            setattr(shared_lab.habits, name, getattr(fresh, name))
    shared_lab.habits.cbt.__init__()  # type: ignore[misc]
    assert [record.getMessage() for record in caplog.records] == []


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab for tests that leave marks on more than their VM."""
    with Lab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with Client(lab) as connected:
        yield connected
