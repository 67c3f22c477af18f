# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One job per VM in a file daemon: a lock the kernel frees when the daemon dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Optional

from bareos_vmsnap import errors


class VmLock:
    """Holds the lock of one VM. While it is held, a backup snapshot found is a dead job's."""

    def __init__(self, directory: Path, instance_uuid: str, vm: str) -> None:
        """Take the lock. Raises errors.PreflightError when another job holds it."""
        path = directory / f"bareos-vmsnap-{instance_uuid}.lock"
        self._fd: Optional[int] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise errors.PreflightError(
                f"Another job of this file daemon is backing up VM {vm}",
                left="nothing, the VM was not touched",
                todo="Let that job end first; schedule the VM's jobs apart",
            ) from error

    def release(self) -> None:
        """Free the lock; safe to call again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
