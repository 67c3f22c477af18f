# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What nbdkit and VDDK wrote during a job: a file in the file daemon's working directory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

FOLDER = "bareos-vmsnap-log"
MAX_AGE = 30  # days


class DiskLog:
    """The movers of a job append to the file at `path`, without secrets."""

    def __init__(self, directory: Path, job: str) -> None:
        self.path = directory / FOLDER / f"{job}.log"

    def prepare(self) -> str:
        """Make the folder, remove old files from it and return the path."""
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            # Another job may be doing the same.
            with contextlib.suppress(FileNotFoundError):
                if old.stat().st_mtime < time.time() - MAX_AGE * 86400:
                    old.unlink()
        return str(self.path)

    def close(self, *, keep: bool) -> str:
        """The job has ended: return a sentence about the file if it is kept, else ""."""
        try:
            empty = self.path.stat().st_size == 0
        except FileNotFoundError:
            return ""
        if keep and not empty:
            return f"What nbdkit and VDDK wrote is kept in {self.path}"
        self.path.unlink(missing_ok=True)
        return ""
