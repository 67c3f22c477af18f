# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest

from vmsnap_lab.filedaemon import JobResult

from .hardware import MIB
from .joblog import check_ok
from .machine import Machine
from .pictures import draw
from .portrait import Portrait
from .site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of its own; whatever a test does, no job leaves anything behind."""
    made = Site(tmp_path)
    yield made
    try:
        assert made.remains() == []
    finally:
        made.close()


@dataclass(frozen=True)
class Saved:
    """A site whose VM "web1" was backed up by `job`; `before` is its portrait then."""

    site: Site
    machine: Machine
    before: Portrait
    job: JobResult

    def restore(self, jobs: Optional[Sequence[int]] = None, **how: Any) -> JobResult:
        """Restore from the job, whatever a test has made of it since, or from others."""
        return self.site.restore([self.job.jobid] if jobs is None else jobs, **how)


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    site = Site(tmp_path_factory.mktemp("saved"))
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n    C\n  D *\n", hardware=True)
    machine.guest.write_nvram(b"nvram" * 99)
    before = machine.portrait()
    job = site.backup()
    check_ok(job)
    yield Saved(site, machine, before, job)
    site.close()


@pytest.fixture
def saved(saved_once: Saved) -> Iterator[Saved]:
    """The module's saved VM; what a test restores is destroyed after it."""
    yield saved_once
    site = saved_once.site
    assert site.remains() == []
    for vm in site.lab.vcenter.vms():
        if vm.moid != saved_once.machine.guest.moref:
            found = site.find(vm.moid)
            if found.vm.runtime.powerState == "poweredOn":
                found.guest.power_off()
            found.destroy()
