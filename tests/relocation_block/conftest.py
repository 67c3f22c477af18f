# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A lab with a VM that can be held."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap.relocation_block.client import BlockProcess
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.disks import VddkDisk
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

SECRET = "Gartenzwerg&<9>%41:ü"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        made.vcenter.add_user(made.user, SECRET)
        made.password = SECRET
        yield made


class Vm:
    """A VM, and what a process must know to block its relocation."""

    def __init__(self, lab: Lab, guest: Guest, folder: Path) -> None:
        self._lab, self._guest, self._folder = lab, guest, folder
        self.moref = guest.moref
        self.log = folder / "job.log"

    @property
    def blocked_for(self) -> list[str]:
        return self._guest.vm.migration_disabled_by

    def disk(self, **changed: Any) -> VddkDisk:
        lab = self._lab
        whole = VddkDisk(
            server=lab.host,
            port=lab.port,
            user=lab.user,
            password=lab.password,
            thumbprint=lab.thumbprint,
            vm=self.moref,
            path=self.moref,
            libdir=str(lab.vddk.libdir),
            log=str(self.log),
        )
        return replace(whole, **changed)

    def block(self, *, disabled: bool = False, probe: bool = False, **changed: Any) -> BlockProcess:
        lock = str(self._folder / "lock")
        return BlockProcess(BlockPlan(self.disk(**changed), disabled, lock, probe))


@pytest.fixture
def vm(lab: Lab, tmp_path: Path) -> Iterator[Vm]:
    lab.vddk.calls.clear()
    yield Vm(lab, lab.create_vm(f"vm {next(_numbers)}", [1 << 20]), tmp_path)
    lab.vddk.habits.reset()
