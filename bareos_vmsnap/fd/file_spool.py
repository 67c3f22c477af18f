# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Files that come before they can be used, kept on disk until then."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, Optional

from bareos_vmsnap.processes import file_lock

_PREFIX = "bareos-vmsnap-spool-"


class FileSpool:
    """Keeps files by their virtual names in a private directory, made when first needed.

    The directory is locked while this process lives; those of processes that died are removed.
    """

    def __init__(self, parent: Path, jobid: int) -> None:
        self._parent = parent
        self._prefix = f"{_PREFIX}{jobid}-"
        self._directory: Optional[Path] = None
        self._lock: Optional[int] = None
        self._files: dict[str, Path] = {}
        self._count = 0

    def create(self, name: str) -> BinaryIO:
        """A new file to write `name`'s content to. Raises OSError."""
        if self._directory is None:
            self._make_directory()
        assert self._directory is not None
        path = self._directory / str(self._count)
        self._count += 1
        self._files[name] = path
        return path.open("wb", buffering=0)

    def names(self) -> list[str]:
        """The names of kept files, in the order they came."""
        return list(self._files)

    def open(self, name: str) -> BinaryIO:
        """Read a kept file. Raises KeyError, OSError."""
        return self._files[name].open("rb", buffering=0)

    def drop(self, name: str) -> None:
        """Remove a kept file."""
        self._files.pop(name).unlink()

    def close(self) -> None:
        """Remove everything; safe to call again."""
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._files.clear()

    def _make_directory(self) -> None:
        one_at_a_time = file_lock.lock(self._parent, wait=True)
        try:
            for found in self._parent.glob(f"{_PREFIX}*"):
                dead = file_lock.lock(found)
                if dead is not None:
                    shutil.rmtree(found, ignore_errors=True)
                    os.close(dead)
            self._directory = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._parent))
            self._lock = file_lock.lock(self._directory)
        finally:
            if one_at_a_time is not None:
                os.close(one_at_a_time)
