# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmsnap_lab.lab import Lab

from .client import Client


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab, caplog: pytest.LogCaptureFixture) -> Iterator[Lab]:
    """The module's lab, with the habits of a new one; no call may make the simulation fail."""
    with caplog.at_level(logging.ERROR, logger="vmsnap_lab"):
        yield shared_lab
    shared_lab.habits.forgive()
    reset(shared_lab.habits, keep="cbt")
    reset(shared_lab.habits.cbt)
    assert [record.getMessage() for record in caplog.records] == []


def reset(switches: Any, keep: str = "") -> None:
    """Give every field of a dataclass but one its default."""
    fresh = type(switches)()
    for field in dataclasses.fields(switches):
        if field.name != keep:
            setattr(switches, field.name, getattr(fresh, field.name))


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab for tests that leave marks on more than their VM."""
    with Lab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with Client(lab) as connected:
        yield connected
