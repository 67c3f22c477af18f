# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Files that came before they could be used, kept on disk until then."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO, Optional


class Spool:
    """Keeps files by their virtual names in a private directory, made when first needed."""

    def __init__(self, parent: Path, jobid: int) -> None:
        self._parent = parent
        self._prefix = f"bareos-vmsnap-spool-{jobid}-"
        self._directory: Optional[Path] = None
        self._files: dict[str, Path] = {}

    def create(self, name: str) -> BinaryIO:
        """A new file to write `name`'s content to. Raises OSError."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._parent))
        path = self._directory / str(len(self._files))
        self._files[name] = path
        return path.open("wb", buffering=0)

    def names(self) -> list[str]:
        """The names kept, in the order they came."""
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
        self._files.clear()
