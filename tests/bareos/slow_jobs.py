# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VMs whose jobs take their time, and what must be true after a job that did not end well."""

from __future__ import annotations

import os

from bareos_vmsnap.vsphere import marks

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from .joblog import check_ok
from .proxy import Proxy

SLOW = "  Maximum Bandwidth = 1 mb/s\n"  # megabytes: a disk of NOISE bytes takes some seconds
NOISE = 6 * MIB


def noisy(proxy: Proxy, job: str = SLOW, size: int = NOISE) -> Machine:
    """A VM whose segments take their time."""
    machine = proxy.create([size], job=job)
    machine.guest.write(2000, 0, os.urandom(size))
    return machine


def backup_snapshots(machine: Machine) -> list[str]:
    return [name for name in machine.snapshot_names if name.startswith(marks.BACKUP_PREFIX)]


def check_next_job(proxy: Proxy, machine: Machine) -> None:
    """The next job removes what is left, is a Full again, and can be restored."""
    job = proxy.bareos.backup(machine.name, "Incremental")
    assert (job.status, job.level) == ("T", "F"), job.log
    before, name = machine.portrait(), machine.name
    machine.destroy()
    check_ok(proxy.bareos.restore(name))
    assert proxy.find(name).portrait() == before
