# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VMware's names of datastore files, "[datastore1] vm/vm.vmdk", and where they are on this host."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vmsnap_lab.storage.errors import StorageError

_FORM = re.compile(r"\[([^\[\]/\0]+)\] *([^\0]+)")


class Datastores:
    """The folders below `root` that stand for datastores, one each."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root.absolute()
        self.names = tuple(names)
        for name in self.names:
            if not name or name.startswith(".") or any(c in name for c in "[]/\0"):
                raise StorageError("bad-request", f"a datastore cannot be called {name!r}")
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def canonical(self, path: str) -> str:
        """The one way to spell a path: one space after the datastore.

        Raises StorageError: "bad-request" (malformed, or leaving the datastore), "missing"
        (no such datastore).
        """
        match = _FORM.fullmatch(path)
        parts = match[2].split("/") if match else []
        if not match or any(part in ("", ".", "..") for part in parts):
            raise StorageError("bad-request", f"{path!r} is not a datastore path")
        if match[1] not in self.names:
            raise StorageError("missing", f"there is no datastore {match[1]!r}")
        return f"[{match[1]}] {match[2]}"

    def host_path(self, path: str) -> Path:
        """The file behind a datastore path, whether it exists or not."""
        datastore, _, name = self.canonical(path)[1:].partition("] ")
        return self.root / datastore / name

    def folder(self, datastore: str) -> Path:
        """The folder of a datastore. Raises StorageError "missing"."""
        if datastore not in self.names:
            raise StorageError("missing", f"there is no datastore {datastore!r}")
        return self.root / datastore

    def name_of(self, file: Path) -> str:
        """The datastore path of a file; one outside the root gets a path that leads nowhere."""
        parts = Path(os.path.relpath(file, self.root)).parts
        return f"[{parts[0]}] {'/'.join(parts[1:])}"


def datastore_of(canonical: str) -> str:
    """The datastore's name in a canonical path."""
    return canonical[1 : canonical.index("]")]
