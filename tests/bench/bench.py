# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What rows have in common: sizes, folders, disks, and the record of all runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable

from tests.bench import processes, servers, subjects
from tests.bench.content import GIB, MIB
from tests.bench.disks import Disks, warm
from tests.bench.meter import Run

Subject = Callable[[], Run]
_SHARED_MEMORY = Path("/dev/shm")
_ENOUGH = 40.0  # seconds; after so many two rounds have to do
_PREFIX = f"vmsnap-bench-{os.getpid()}-"


class Bench(contextlib.ExitStack):
    """`size`: bytes of the big disk. `quick`: the short run. `patient`: no round is left out, however
    long they take. What rows enter here ends at the end.
    """

    def __init__(
        self, folder: Path, size: int, *, quick: bool, rounds: int, patient: bool = True
    ) -> None:
        super().__init__()
        self.size = size
        self.quick = quick
        self.rounds = rounds
        self.patient = patient
        self.disks = Disks(folder / "disks")
        for place in (folder, _SHARED_MEMORY):
            _remove_abandoned(place)
        self.scratch = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        self.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        self.memory = self._memory_folder()
        self.runs: list[dict[str, Any]] = []
        self._segments: dict[int, Path] = {}

    @property
    def target_in_memory(self) -> bool:
        """Whether restores go to a tmpfs; if that has not twice the size, they go to the disk."""
        return self.memory != self.scratch

    def scaled(self, part: float) -> int:
        """A part of the size, in whole MiB, at least 16 MiB."""
        return max(16 * MIB, int(self.size * part) // MIB * MIB)

    def compare(
        self, row: str, subjects: Mapping[str, Subject], rounds: int = 0
    ) -> dict[str, list[Run]]:
        """Run subjects in turns, each round starting with another one. The runs by name."""
        names = list(subjects)
        os.sync()  # or else what was made before is written while something is measured
        found: dict[str, list[Run]] = {name: [] for name in names}
        started = time.monotonic()
        for number in range(rounds or self.rounds):
            if number == 2 and not self.patient and time.monotonic() - started > _ENOUGH:
                break
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                processes.settle()
                run = subjects[name]()
                found[name].append(run)
                self.runs.append({"row": row, "subject": name, "round": number, **asdict(run)})
        return found

    def segment(self, size: int) -> Path:
        """The segment of the reference mix of that size, as stored; in the page cache."""
        if size not in self._segments:
            path = self.scratch / f"mix-{size}.vmseg"
            with servers.nbdkit("-r", "file", self.warm_mix(size)) as source:
                subjects.back_up(source, size, into=path)
            self._segments[size] = path
        warm(self._segments[size])
        return self._segments[size]

    def warm_mix(self, size: int) -> Path:
        """The disk with the reference mix, in the page cache."""
        path = self.disks.mix(size)
        warm(path)
        return path

    def folder(self, name: str) -> Path:
        """A new folder for a lab or so; it is removed at the end."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    @contextlib.contextmanager
    def memory_folder(self, name: str) -> Iterator[Path]:
        """A new folder on the tmpfs, removed at the end of the context."""
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-", dir=self.memory))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _memory_folder(self) -> Path:
        if not os.access(_SHARED_MEMORY, os.W_OK):
            return self.scratch
        enough = shutil.disk_usage(_SHARED_MEMORY).free >= 2 * self.size
        return _SHARED_MEMORY if enough else self.scratch


def _remove_abandoned(place: Path) -> None:
    """Remove the large files of runs that were killed."""
    for path in place.glob("vmsnap-bench-*-*"):
        pid = path.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def per_gib(seconds: float, size: int) -> float:
    """Seconds for each GiB."""
    return seconds / (size / GIB)
