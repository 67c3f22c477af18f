# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VMs whose jobs take their time, and what must be true after a job that did not end well."""

from __future__ import annotations

import os
import time
from typing import Any

from bareos_vmsnap.vsphere import markers

from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from .joblog import check_ok
from .proxy import Proxy, until

SLOW = "  Maximum Bandwidth = 1 mb/s\n"  # megabytes: a disk of NOISE bytes takes some seconds
NOISE = 6 * MIB
TASK_SECONDS = 4


def noisy(proxy: Proxy, job: str = SLOW, size: int = NOISE) -> Machine:
    """A VM whose segments take their time."""
    machine = proxy.create([size], job=job)
    machine.guest.write(2000, 0, os.urandom(size))
    return machine


def start_slow(proxy: Proxy, machine: Machine, moment: str) -> int:
    """Start a Full; return its id when it is at that moment: "segment", or a task of vCenter's."""
    proxy.lab.habits.task_seconds_of[moment] = TASK_SECONDS
    jobid = proxy.bareos.start_job(f"run job=backup-vm-{machine.name} level=Full yes")
    _wait_for(proxy, moment)
    return jobid


def start_slow_restore(proxy: Proxy, name: str, moment: str, **how: Any) -> int:
    """The same for a restore of the newest state; `how`: see Bareos.start_restore."""
    how.setdefault("options", "rate_limit=1")  # the daemon's limit lets some MiB through
    proxy.lab.habits.task_seconds_of[moment] = TASK_SECONDS
    proxy.bareos.console("setbandwidth client=vmware-proxy-fd limit=1000")
    jobid = proxy.bareos.start_restore(name, **how)
    _wait_for(proxy, moment)
    return jobid


def back_to_speed(proxy: Proxy) -> None:
    """No more slow tasks, no limit of the bandwidth."""
    proxy.lab.habits.task_seconds_of.clear()
    proxy.bareos.console("setbandwidth client=vmware-proxy-fd limit=0")


def _wait_for(proxy: Proxy, moment: str) -> None:
    if moment == "segment":
        until(proxy.working_movers)
        time.sleep(0.5)
    else:
        until(lambda: proxy.runs(moment))


def backup_snapshots(machine: Machine) -> list[str]:
    return [name for name in machine.snapshot_names if name.startswith(markers.BACKUP_PREFIX)]


def check_next_job(proxy: Proxy, machine: Machine) -> None:
    """The next job removes what is left, is a Full again, and can be restored."""
    job = proxy.bareos.backup(machine.name, "Incremental")
    assert (job.status, job.level) == ("T", "F"), job.log
    before, name = machine.portrait(), machine.name
    machine.destroy()
    check_ok(proxy.bareos.restore(name))
    assert proxy.find(name).portrait() == before
