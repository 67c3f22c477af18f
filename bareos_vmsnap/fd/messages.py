# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Messages in the job log."""

from __future__ import annotations

import bareosfd

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import faults


class BareosJobLog:
    """Writes to the job log. Only entry points that Bareos calls may use it, not our threads.

    Levels in a backup: `warn` leaves it OK, `error` ends it "OK with warnings", `fatal`
    fails it. In a restore `warn` already ends it with warnings and `error` as an error.
    `id` identifies the message (see errors), `causes` are the ids of what led to it.
    """

    def __init__(self, prefix: str = "vmsnap") -> None:
        self._prefix = prefix
        self.failed = False

    def info(self, text: str) -> None:
        """Something that needs no action."""
        bareosfd.JobMessage(bareosfd.M_INFO, self._line(text))

    def warn(self, id: str, text: str, *causes: str) -> None:
        """Something an admin should look at."""
        bareosfd.JobMessage(bareosfd.M_WARNING, self._line(text, id, *causes))

    def error(self, id: str, text: str, *causes: str) -> None:
        """Something an admin must deal with, although all data is safe."""
        bareosfd.JobMessage(bareosfd.M_ERROR, self._line(text, id, *causes))

    def fatal(self, id: str, text: str, *causes: str) -> None:
        """The job must not end OK. Only the first such message is fatal; later ones are errors."""
        level = bareosfd.M_ERROR if self.failed else bareosfd.M_FATAL
        self.failed = True
        bareosfd.JobMessage(level, self._line(text, id, *causes))

    def failure(self, error: BaseException) -> None:
        """Fail the job with this exception, in terms an admin knows."""
        translated = faults.translated(error)
        self.fatal(translated.id, str(translated), *errors.ids(translated))

    def _line(self, text: str, *ids: str) -> str:
        return f"{self._prefix}: {errors.labelled(text, ids)}\n"
