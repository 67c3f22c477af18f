# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The backup command."""

from __future__ import annotations

from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import (
    control,
    interrupt,
    items,
    plugin,
    savefile,
    storage,
)

_UNHANDLED = frozenset(
    {
        plugin.NO_RESULT,
        bareosfd.bRC_More,
        bareosfd.bRC_Term,
        bareosfd.bRC_Seen,
        bareosfd.bRC_Core,
        bareosfd.bRC_Cancel,
    }
)


class Backup:
    """What a file daemon does for one backup job, once the plugin has been loaded."""

    def __init__(
        self,
        jcr: control.JobControl,
        python: plugin.Plugin,
        sd: storage.Saving,
        core_io: interrupt.CoreIo,
    ) -> None:
        self._jcr = jcr
        self._plugin = python
        self._saver = savefile.FileSaver(jcr, python, sd, core_io)

    def run(self) -> None:
        jcr, python = self._jcr, self._plugin
        jcr.set_status("B")
        jcr.type = "B"
        python.raise_event(bareosfd.bEventStartBackupJob)
        jcr.set_status("R")
        if not self._save_all():
            jcr.set_status("E")
        for kind, number in (("acl", self._saver.acl_errors), ("xattr", self._saver.xattr_errors)):
            if number:
                text = f"Encountered {number} {kind} errors while doing backup"
                jcr.message(bareosfd.M_WARNING, text)
        self._send_deleted()
        jcr.set_status("T")
        python.raise_event(bareosfd.bEventEndBackupJob)

    def _save_all(self) -> bool:
        return all(
            self._save_line(line) and not self._jcr.is_stopped() for line in self._jcr.job.plugins
        )

    def _save_line(self, line: str) -> bool:
        """Everything that the plugin offers for one Plugin line of the FileSet."""
        if self._jcr.is_stopped():
            text = f'Command plugin "{line}" requested, but job is already canceled.'
            self._jcr.message(bareosfd.M_FATAL, text)
            return False
        if line.partition(":")[0] not in plugin.NAMES:
            self._jcr.message(bareosfd.M_FATAL, f'Command plugin "{line}" not found.')
            return False
        if self._plugin.parse_definition(line) != bareosfd.bRC_OK:
            return False
        while not self._jcr.is_stopped():
            item = items.SaveItem(items.default_flags(self._jcr.job.sparse))
            returned = self._plugin.start_backup_file(item, line)
            if returned == bareosfd.bRC_Skip:
                continue
            if returned == bareosfd.bRC_Stop:
                return True
            if returned == bareosfd.bRC_Error:
                return self._fail(line, "startBackupFile failed")
            if returned in _UNHANDLED:
                text = f'Command plugin "{line}": unhandled returncode from startBackupFile.'
                self._jcr.message(bareosfd.M_ERROR, text)
                return True
            if returned != bareosfd.bRC_OK:
                return self._fail(line, "no fname in startBackupFile packet")
            if item.type == 0:
                return self._fail(line, "no type in startBackupFile packet")
            self._saver.save(item, line)
            ended = self._plugin.end_backup_file()
            if self._plugin.core.file_list and ended in (bareosfd.bRC_OK, bareosfd.bRC_More):
                self._plugin.core.file_list.mark(item.fname)
            if ended != bareosfd.bRC_More:
                return True
        return True

    def _fail(self, line: str, reason: str) -> bool:
        self._jcr.message(bareosfd.M_FATAL, f'Command plugin "{line}": {reason}.')
        return False

    def _send_deleted(self) -> None:
        """With Accurate: check for each file not offered whether it still belongs to the backup."""
        files = self._plugin.core.file_list
        if files is None or self._jcr.is_stopped():
            return
        for name in files.unseen():
            # After a fatal error or a cancel the plugin is no longer asked.
            stopped = self._jcr.is_stopped()
            if stopped or self._plugin.check_file(name) != bareosfd.bRC_Seen:
                self._saver.send_deleted(name, dict(files.stat(name)))
