# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One job per VM in a file daemon: a lock the kernel frees when the daemon dies."""

from __future__ import annotations

import os
from pathlib import Path

from bareos_vmsnap import errors
from bareos_vmsnap.processes import file_lock


class VmLock:
    """Holds the lock of one VM. While it is held, any backup snapshot is a dead job's."""

    def __init__(self, directory: Path, instance_uuid: str, vm: str) -> None:
        """Take the lock. Raises errors.PreflightError if another job holds it or it cannot be taken."""
        path = directory / f"bareos-vmsnap-{instance_uuid}.lock"
        try:
            self._fd = file_lock.lock(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise errors.PreflightError(
                f"The working directory of the file daemon, {directory}, is not there",
                left="nothing, the VM was not touched",
                todo="Make it, for the user that the file daemon runs as",
                id="working-directory-missing",
            ) from error
        if self._fd is None:
            raise errors.PreflightError(
                f"Another job of this file daemon is backing up VM {vm}",
                left="nothing, the VM was not touched",
                todo="Let that job end first; schedule the VM's jobs apart",
                id="vm-busy",
            )

    def release(self) -> None:
        """Free the lock; safe to call again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
