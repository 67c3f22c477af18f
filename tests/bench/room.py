# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Whether a folder and this machine have room for disks of a size."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.bench.content import GIB, MIB

_ON_DISK = 7  # times the size: images, a segment, what a lab has
_IN_MEMORY = 3.5  # page cache, and targets and volumes on a tmpfs
_LEAST = 256 * MIB


class NoRoom(Exception):
    """The message says what there is and what is needed, or what is wrong with the folder."""


def check_folder(folder: Path) -> None:
    """Raises NoRoom for a folder on a tmpfs, where block status takes its time."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if kind == "tmpfs":
        raise NoRoom(f"{folder} is on a tmpfs")


def check(folder: Path, size: int) -> None:
    """Raises NoRoom."""
    kept = sum(path.stat().st_blocks * 512 for path in folder.glob("disks/*"))
    for what, there, needed in (
        (str(folder), shutil.disk_usage(folder).free + kept, _ON_DISK * size),
        ("this machine", _available_memory(), _IN_MEMORY * size),
    ):
        if there < needed:
            kind = "disk space" if what == str(folder) else "memory"
            raise NoRoom(
                f"{what} has {there / GIB:.1f} GiB of {kind} to spare, needed are"
                f" {needed / GIB:.1f} for a size of {size / GIB:g}"
            )


def largest(folder: Path, size: int) -> int:
    """The size, or half or a quarter of it and so on, for which there is room. Raises NoRoom."""
    while True:
        try:
            check(folder, size)
        except NoRoom:
            if size // 2 < _LEAST:
                raise
            size //= 2
        else:
            return size


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
