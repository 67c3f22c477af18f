# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A lab whose disks are opened through nbdkit's vddk plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from tests.mover.harness import wait_until
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

from .vddk import MIB, NAME, SECRET


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        made.vcenter.add_user(made.user, SECRET)
        made.password = SECRET
        yield made


@pytest.fixture(scope="module")
def guest(lab: Lab) -> Guest:
    """A VM with A in its first MiB at its snapshot, B since."""
    made = lab.create_vm(NAME, [2 * MIB])
    made.write(2000, 0, b"A" * MIB)
    vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    made.write(2000, 0, b"B" * 65536)
    return made


@pytest.fixture
def habits(lab: Lab) -> Iterator[Any]:
    lab.vddk.habits.reset()
    yield lab.vddk.habits
    lab.vddk.habits.reset()
    wait_until(lambda: lab.vddk.open_disks == [])
