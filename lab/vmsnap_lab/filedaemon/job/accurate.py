# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The list of files that the previous jobs hold, for jobs with Accurate=yes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional


class FileList:
    """Name and stat of every file of the jobs a backup builds on; which of them it has seen."""

    def __init__(self, files: Mapping[str, Mapping[str, int]]) -> None:
        self._files = files
        self._seen: set[str] = set()

    def changed(self, name: str, stat: Mapping[str, int]) -> bool:
        """Whether mtime, ctime or size differ from what is known. The file counts as seen."""
        known = self._files.get(name)
        if known is None:
            return True
        self._seen.add(name)
        return any(known[key] != stat[key] for key in ("st_mtime", "st_ctime", "st_size"))

    def mark(self, name: Optional[str], seen: bool = True) -> None:
        """Mark one file, or all of them for None. Unknown names are ignored."""
        names = self._files if name is None else [name] if name in self._files else []
        if seen:
            self._seen.update(names)
        else:
            self._seen.difference_update(names)

    def unseen(self) -> Iterator[str]:
        return (name for name in self._files if name not in self._seen)

    def stat(self, name: str) -> Mapping[str, int]:
        return self._files[name]
