# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the functions of the bareosfd module reach: the values and services of the core."""

from __future__ import annotations

import operator
from typing import Any, Callable, Optional

from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import accurate, control

_VERSION = "25.1.0 (03 August 2026)"
_EVENTS = range(bareosfd.bEventJobStart, bareosfd.bEventVssBackupComplete + 1)
_ALWAYS = (  # the core itself registers these for every Python plugin
    bareosfd.bEventLevel,
    bareosfd.bEventSince,
    bareosfd.bEventNewPluginOptions,
    bareosfd.bEventPluginCommand,
    bareosfd.bEventJobStart,
    bareosfd.bEventRestoreCommand,
    bareosfd.bEventEstimateCommand,
    bareosfd.bEventBackupCommand,
    bareosfd.bEventRestoreObject,
)


class PluginCore:
    """The core as one plugin instance sees it."""

    def __init__(self, jcr: control.JobControl) -> None:
        self.since = jcr.job.since
        self.events = set(_ALWAYS)
        self.file_list: Optional[accurate.FileList] = None
        self._check_changes = True
        self._jcr = jcr

    def get_value(self, variable: int) -> Any:
        jcr, job = self._jcr, self._jcr.job
        getters: dict[int, Callable[[], Any]] = {
            bareosfd.bVarJobId: lambda: job.job_id,
            bareosfd.bVarFDName: lambda: job.fd_name,
            bareosfd.bVarLevel: lambda: ord(job.level),
            bareosfd.bVarType: lambda: ord(jcr.type),
            bareosfd.bVarClient: lambda: job.fd_name,
            bareosfd.bVarJobName: lambda: job.job_name,
            bareosfd.bVarJobStatus: lambda: ord(jcr.status),
            bareosfd.bVarSinceTime: lambda: self.since,
            bareosfd.bVarAccurate: lambda: int(jcr.accurate),
            bareosfd.bVarWorkingDir: lambda: job.working_directory,
            bareosfd.bVarWhere: lambda: jcr.where,
            bareosfd.bVarExePath: lambda: "/usr/sbin/",
            bareosfd.bVarVersion: lambda: _VERSION,
            bareosfd.bVarPrevJobName: lambda: job.previous_job,
            bareosfd.bVarPrefixLinks: lambda: 0,
            bareosfd.bVarCheckChanges: self._get_check_changes,
            bareosfd.bVarUsedConfig: lambda: job.used_config,
        }
        return getters[variable]() if variable in getters else None

    def _get_check_changes(self) -> bool:
        self._jcr.hazard(
            "GetValue(bVarCheckChanges) was called: each call takes a reference to True or False "
            "away from the interpreter, after enough of them bareos-fd aborts"
        )
        return self._check_changes

    def set_value(self, variable: int, value: Any) -> int:
        """Raises TypeError for a value of a wrong type."""
        if variable == bareosfd.bVarSinceTime:
            self.since = -1
            self.since = operator.index(value)
        elif variable == bareosfd.bVarCheckChanges:
            self._check_changes = value is True
        elif variable == bareosfd.bVarFileSeen:
            if not isinstance(value, str):
                raise TypeError("a file name must be str")
            return self.mark_seen(False, value, True)
        else:
            return bareosfd.bRC_Error
        return bareosfd.bRC_OK

    def job_message(self, level: int, text: str) -> None:
        self._jcr.message(level, text, "plugin")

    def debug_message(self, level: int, text: str) -> None:
        """Debug messages go to the trace file of a daemon if it writes one; not here."""

    def register_events(self, events: list[int]) -> int:
        known = [event for event in events if event in _EVENTS]
        self.events.update(known)
        return bareosfd.bRC_OK if known else bareosfd.bRC_Error

    def unregister_events(self, events: list[int]) -> int:
        known = [event for event in events if event in _EVENTS]
        self.events.difference_update(known)
        return bareosfd.bRC_OK if known else bareosfd.bRC_Error

    def instance_count(self) -> int:
        """One: a loopback job has its process to itself."""
        return 1

    def unchanged(self, name: str, stat: dict[str, int], save_time: int) -> bool:
        """Whether an item of an Incremental or Differential need not be saved.

        With a list of files (Accurate) by mtime, ctime and size; else when mtime and ctime are
        older than `save_time` or, if that is 0, than the job this one builds on.
        """
        if not self._check_changes:
            return False
        if self.file_list is not None:
            return not self.file_list.changed(name, stat)
        since = save_time or self.since
        return stat["st_mtime"] < since and stat["st_ctime"] < since

    def check_changes(self, packet: bareosfd.SavePacket) -> int:
        """Bareos forgets to pass the packet's times on: they count as 0."""
        if not isinstance(packet.fname, str):
            return bareosfd.bRC_Error
        stat = dict.fromkeys(("st_mtime", "st_ctime", "st_size"), 0)
        if self._jcr.job.level == bareosfd.L_FULL and not packet.save_time:
            return bareosfd.bRC_OK
        unchanged = self.unchanged(packet.fname, stat, packet.save_time)
        return bareosfd.bRC_Seen if unchanged else bareosfd.bRC_OK

    def accept_file(self, packet: bareosfd.SavePacket) -> int:
        if self._jcr.job.kind == "restore":
            self._jcr.hazard("AcceptFile was called in a restore job: bareos-fd crashes there")
        named = isinstance(packet.fname, str) and packet.statp is not None
        return bareosfd.bRC_OK if named else bareosfd.bRC_Error

    def mark_seen(self, everything: bool, name: Optional[str], seen: bool) -> int:
        if self.file_list is None or everything == (name is not None):
            return bareosfd.bRC_Error
        self.file_list.mark(name, seen)
        return bareosfd.bRC_OK

    def change_fileset(self, function: str, item: Optional[str]) -> int:
        self._jcr.hazard(f"{function} has no effect in a loopback job: it has Plugin lines only")
        return bareosfd.bRC_OK
