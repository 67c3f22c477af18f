# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Many jobs in one file daemon: its memory, threads and descriptors do not grow.

$VMSNAP_JOBS says how many; the numbers are printed (pytest -s).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..e2e.hardware import MIB
from ..e2e.pictures import draw
from .joblog import check_ok
from .proxy import Proxy

JOBS = int(os.environ.get("VMSNAP_JOBS", "6"))
WARM_UP = 4  # jobs until everything is loaded that is loaded once
GROWTH = 500  # KiB a job may add, as long as only few of them are looked at
SHOWN = (1, 10, 50, 100, 150, 200)


@dataclass(frozen=True)
class Size:
    """Of a process: resident and proportional memory in KiB, threads, open files."""

    resident: int
    proportional: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Size:
        process = Path(f"/proc/{pid}")
        status = _rows(process / "status")
        memory = _rows(process / "smaps_rollup")
        return cls(
            resident=int(memory["Rss"].split()[0]),
            proportional=int(memory["Pss"].split()[0]),
            threads=int(status["Threads"]),
            files=len(list((process / "fd").iterdir())),
        )


def _rows(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value for name, _, value in lines}


@pytest.mark.timeout(60 + 15 * JOBS)
def test_many_jobs(proxy: Proxy) -> None:
    machine = proxy.create([MIB])
    draw(machine, "A\n  B *\n")
    sizes = []
    for number in range(1, WARM_UP + JOBS + 1):
        check_ok(proxy.bareos.backup(machine.name, "Full" if number % 5 == 1 else "Incremental"))
        sizes.append(Size.of(proxy.bareos.file.pid))
        if number in SHOWN or number == WARM_UP + JOBS:
            print(f"after {number} jobs: {sizes[-1]}")
    first, last = sizes[WARM_UP - 1], sizes[-1]
    print(f"{(last.resident - first.resident) / JOBS:.0f} KiB a job")
    assert last.resident - first.resident < GROWTH * JOBS
    assert last.threads <= first.threads + 1
    assert last.files <= first.files + 1
