# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Many jobs in one file daemon: its memory, threads and descriptors do not grow.

$VMSNAP_JOBS says how many; the numbers are printed (pytest -s).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from .joblog import check_ok
from .proxy import Proxy

JOBS = int(os.environ.get("VMSNAP_JOBS", "6"))
WARM_UP = 4  # jobs until everything is loaded that is loaded once
GROWTH = 500  # KiB a job may add, as long as only few of them are looked at


def measured(pid: int) -> tuple[int, int, int]:
    """Resident memory in KiB, threads, open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    rows = dict(line.split(":", 1) for line in status.splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(rows["VmRSS"].split()[0]), int(rows["Threads"]), files


@pytest.mark.timeout(60 + 15 * JOBS)
def test_many_jobs(proxy: Proxy) -> None:
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    sizes = []
    for number in range(WARM_UP + JOBS):
        check_ok(proxy.bareos.backup(machine.name, "Full" if number % 5 == 0 else "Incremental"))
        sizes.append(measured(proxy.bareos.file.pid))
        print(f"job {number}: %d KiB, %d threads, %d files" % sizes[-1])
    (memory, threads, files), last = sizes[WARM_UP - 1], sizes[-1]
    print(f"{(last[0] - memory) / JOBS:.0f} KiB a job")
    assert last[0] - memory < GROWTH * JOBS
    assert (last[1], last[2]) <= (threads + 1, files + 1)
