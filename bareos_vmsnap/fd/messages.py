# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Messages in the job log."""

from __future__ import annotations

import errno
import traceback

import bareosfd

from bareos_vmsnap.errors import VmsnapError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class JobLog:
    """Writes to the job log. Only Bareos' own entry points may call it, no thread of ours.

    What the levels do to a backup: `warn` leaves it OK, `error` ends it "OK with warnings", `fatal`
    fails it. In a restore `warn` already ends it with warnings and `error` as an error.
    """

    def __init__(self, prefix: str = "vmsnap") -> None:
        self._prefix = prefix
        self.failed = False

    def info(self, text: str) -> None:
        """Something an admin likes to know."""
        bareosfd.JobMessage(bareosfd.M_INFO, self._line(text))

    def warn(self, text: str) -> None:
        """Something that may need a look."""
        bareosfd.JobMessage(bareosfd.M_WARNING, self._line(text))

    def error(self, text: str) -> None:
        """Something that needs an admin, although all data is safe."""
        bareosfd.JobMessage(bareosfd.M_ERROR, self._line(text))

    def fatal(self, text: str) -> None:
        """The job must not end OK. The first such message is the job's; later ones are notes."""
        level = bareosfd.M_ERROR if self.failed else bareosfd.M_FATAL
        self.failed = True
        bareosfd.JobMessage(level, self._line(text))

    def failure(self, error: BaseException) -> None:
        """Fail the job with this exception: ours and full disks in plain words, others with their place."""
        if isinstance(error, VmsnapError):
            self.fatal(str(error))
            return
        if isinstance(error, OSError) and error.errno in _FULL:
            self.fatal(f"{error.strerror}: {error.filename}. What to do: Make room there.")
            return
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        place = ", ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in reversed(frames))
        self.fatal(
            f"Unexpected {type(error).__name__}: {error} (at {place}). This is a fault of the "
            "plugin: please report it with this message"
        )

    def _line(self, text: str) -> str:
        return f"{self._prefix}: {text}\n"
