# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The job on the file daemon's side: its status, its counters, its messages."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any, Optional

from vmsnap_lab.filedaemon import frames
from vmsnap_lab.filedaemon.bareos_modules import bareosfd

_FINAL = frozenset("AEf")  # canceled, error, fatal: the first of them stays
_UNHEARD = frozenset({bareosfd.M_DEBUG, bareosfd.M_SKIPPED, bareosfd.M_RESTORED})
_SEVERITIES = {number: name.decode() for name, number in bareosfd.bJobMessageType.items()}


@dataclass
class JobDefinition:
    """A job as the Director defines it. Times are in seconds since the epoch."""

    job_id: int
    job_name: str
    kind: str  # "backup", "restore" or "estimate"
    level: str  # F, I or D
    plugins: list[str]
    since: int = 0
    previous_job: str = ""
    accurate: bool = False
    sparse: bool = False
    volume: str = ""  # path of what a backup makes
    watched: bool = False  # whether each block of data is reported to the storage
    where: str = "/"
    replace: str = "a"
    plugin_options: str = ""
    fd_name: str = "bareos-fd"
    working_directory: str = "/"
    used_config: str = "/"
    clock_ahead: int = 0  # seconds that the daemon's clock differs from the Director's
    host_name: str = ""  # of the daemon's host; empty: the real one


@dataclass
class JobControl:
    """Status: C created, B blocked, R running, T ok, W warnings, E error, f fatal, A canceled."""

    job: JobDefinition
    director: frames.Channel
    status: str = "C"
    type: str = "I"
    errors: int = 0
    warnings: int = 0
    files: int = 0  # number of the last file or object
    bytes: int = 0
    where: Optional[str] = None
    accurate: bool = False
    hazards: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_stopped(self) -> bool:
        """Canceled or failed: nothing more is started."""
        return self.status in _FINAL

    def set_status(self, status: str) -> None:
        """An error once reached is not overwritten."""
        with self._lock:
            if not self.is_stopped():
                self.status = status

    def message(self, severity: int, text: str, origin: str = "core") -> None:
        """A job message; M_ERROR counts, M_FATAL fails the job.

        M_ABORT and M_ERROR_TERM end the process at once, as they end a whole bareos-fd. The types
        that the Messages resource of an installed bareos-fd leaves out are left out here. Without a
        job id (estimate) every message goes to the console and has no other effect.
        """
        name = _SEVERITIES.get(severity, str(severity))
        if self.job.job_id == 0:
            self.report(frames.MESSAGE, {"type": name, "text": text, "origin": origin})
            return
        if severity in _UNHEARD:
            return
        if severity == bareosfd.M_FATAL:
            self.set_status("f")
        with self._lock:
            if severity == bareosfd.M_ERROR or (severity == bareosfd.M_FATAL and not self.errors):
                self.errors += 1
            elif severity == bareosfd.M_WARNING:
                self.warnings += 1
        self.report(frames.MESSAGE, {"type": name, "text": text, "origin": origin})
        if severity == bareosfd.M_ABORT:
            os.abort()
        if severity == bareosfd.M_ERROR_TERM:
            os._exit(1)

    def not_saved(self, text: str) -> None:
        """A file that could not be saved: counts as an error."""
        self.message(bareosfd.M_NOTSAVED, text)
        with self._lock:
            self.errors += 1

    def hazard(self, text: str) -> None:
        """Something that this job survives and a real bareos-fd may not."""
        if text not in self.hazards:
            self.hazards.append(text)

    def report(self, kind: int, value: dict[str, Any]) -> None:
        self.director.send_json(kind, value)
