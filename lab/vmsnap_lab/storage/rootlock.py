# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One store at a time works on a root folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from vmsnap_lab.storage.errors import StorageError

_DYING = 1.0
"""Seconds that a killed lab may take to be gone."""
_CLOSING = 15.0
"""Seconds that the qemu processes of a killed lab may take to close their disks."""


class RootLock:
    """Holds a folder until `close`.

    There are two locks: the store's own, and one that all qemu processes inherit through
    `inherited`. So a new store does not look at files that a child of a killed one still writes.
    Raises StorageError "locked" if they are not free in time.
    """

    def __init__(self, root: Path) -> None:
        self._own = _lock(root / ".lock", _DYING)
        try:
            self.inherited = _lock(root / ".lock-of-children", _CLOSING)
        except BaseException:
            os.close(self._own)
            raise

    def close(self) -> None:
        """Release the folder; a second call does nothing."""
        if self._own >= 0:
            os.close(self.inherited)
            os.close(self._own)
            self._own = self.inherited = -1


def _lock(file: Path, patience: float) -> int:
    opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Not a number that socket activation gives a meaning to.
    descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(opened)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                message = f"another lab works on {file.parent}"
                raise StorageError("locked", message) from None
        time.sleep(0.02)
