# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVim import task

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import plugin

from .nbdkit import PLUGIN, Site

MIB = 1 << 20
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if PLUGIN is None:
        here = Path(__file__).parent
        reason = f"there is no vddk plugin for nbdkit: {plugin.why_missing()}"
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[Site]:
    made = Site(lab, tmp_path)
    lab.vddk.calls.clear()
    yield made
    made.close()
    lab.vddk.habits.reset()
    assert list(lab.vddk.open_disks) == []


def take_snapshot(lab: Lab, guest: Guest, name: str) -> None:
    content: Any = lab._client()  # logs in again if a test has ended the session
    found = content.searchIndex.FindByUuid(None, guest.vm.live.instanceUuid, True, True)
    task.WaitForTask(found.CreateSnapshot_Task(name, "", False, False))


@pytest.fixture
def guest(lab: Lab) -> Guest:
    """A VM with a disk of 4 MiB: A in the first MiB at "first", B in the second since."""
    made = lab.create_vm(f"vm {next(_numbers)}", [4 * MIB])
    made.write(2000, 0, b"A" * MIB)
    take_snapshot(lab, made, "first")
    made.write(2000, MIB, b"B" * MIB)
    return made
