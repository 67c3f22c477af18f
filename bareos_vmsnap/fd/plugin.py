# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The class Bareos calls: every entry point, and what its failure does to the job."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar, cast

import bareosfd
from BareosFdPluginBaseclass import BareosFdPluginBaseclass

from bareos_vmsnap import errors
from bareos_vmsnap.fd import estimate, items, options, vm_backup
from bareos_vmsnap.fd.disk_log import DiskLog
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.messages import BareosJobLog
from bareos_vmsnap.fd.receivers import Receiver
from bareos_vmsnap.fd.restore_job import RestoreJob
from bareos_vmsnap.fd.vm_backup import VmBackup
from bareos_vmsnap.mover import client
from bareos_vmsnap.tree import manifest, names, restore_objects

Entry = TypeVar("Entry", bound=Callable[..., Any])
_PASSWORD_IN_LINE = re.compile(r":vcpass(#\w+)?=")


def guarded(entry: Entry) -> Entry:
    """Turn every exception of an entry point into one clear fatal message.

    Bareos ignores the return code of most entry points; only M_FATAL reliably fails a job.
    """

    @functools.wraps(entry)
    def call(self: VmsnapPlugin, *arguments: Any) -> Any:
        try:
            return entry(self, *arguments)
        except Exception as error:  # noqa: BLE001 - becomes the job's failure
            self.fail(error)
            return bareosfd.bRC_Error

    return cast(Entry, call)


class VmsnapPlugin(BareosFdPluginBaseclass):
    """One instance serves one job, with every Plugin line of its FileSet in turn."""

    def __init__(self, plugindef: str) -> None:
        super().__init__(plugindef)
        bareosfd.RegisterEvents([bareosfd.bEventEndRestoreJob, bareosfd.bEventCancelCommand])
        self._log = BareosJobLog()
        self._job_info = JobInfo(
            jobid=self.jobId,
            unique_name=self.jobName,
            level=chr(self.level) if isinstance(self.level, int) else str(self.level),
            host=socket.gethostname(),
            working_directory=Path(self.workingdir),
        )
        self._definition: Optional[str] = None
        self._options: Optional[options.Options] = None
        self._warned: set[errors.Notice] = set()
        self._previous = restore_objects.Pieces()
        self._backup: Optional[VmBackup] = None
        self._done: list[VmBackup] = []
        self._offer: Iterator[items.Item] = iter(())
        self._next: Optional[items.Item] = None
        self._item: Optional[items.Item] = None
        self._restore: Optional[RestoreJob] = None
        self._receiver: Optional[Receiver] = None
        self._mover: Optional[client.Mover] = None
        self._content = b""
        self._path = ""  # of the file being restored
        self._started = False
        atexit.register(self._clean_up)

    # Options

    def parse_plugin_definition(self, plugindef: str) -> Any:
        """Read the options. Bareos calls this repeatedly; an unchanged line is not read again.

        In a restore only the first call has the options given at restore, before a Plugin line;
        RestoreJob determines which options apply to each file.
        """
        if plugindef == self._definition:
            return bareosfd.bRC_OK
        if not self._level_is_backup():
            if self._restore is not None:
                return bareosfd.bRC_OK
            self._restore = RestoreJob(plugindef, self._parsed, self._job_info, self._log)
        return self._parse(plugindef)

    def _parse(self, definition: str) -> Any:
        self._definition = definition
        self.options: dict[str, str] = {}
        self._options = None
        return super().parse_plugin_definition(definition)

    def _parsed(self, definition: str) -> options.Options:
        """The options of a definition. Raises errors.RestoreError if they cannot be used."""
        if definition != self._definition:
            self._parse(definition)
        if self._options is None:
            raise errors.RestoreError("The plugin options could not be used", id="options-unusable")
        return self._options

    def _add_options(self, options: dict[str, str]) -> None:
        """Keep the password away from the base class, which writes options to the debug trace."""
        for key in [key for key in options if key.partition("#")[0] == "vcpass"]:
            value = options[key]
            _, _, transform = key.partition("#")
            if transform:
                from BareosFdPluginBaseclass import transform_value

                value = transform_value(value, transform)
            self.options.setdefault("vcpass", value)
        super()._add_options({k: v for k, v in options.items() if k.partition("#")[0] != "vcpass"})

    @guarded
    def check_options(self, mandatory_options: Any = None) -> Any:
        """Check all options; called by the base class when it has read them."""
        in_line = _PASSWORD_IN_LINE.search(self._definition or "") is not None
        parsed = options.parse(self.options, password_in_line=in_line)
        for warning in parsed.warnings:
            if warning not in self._warned:
                self._log.warn(*warning)
        self._warned.update(parsed.warnings)
        self._options = parsed.options
        return bareosfd.bRC_OK

    # Events

    def handle_plugin_event(self, event: int) -> Any:
        """Dispatch an event. A cancel comes on another thread, while others may be running."""
        if event == bareosfd.bEventCancelCommand:
            self._cancel()
            return bareosfd.bRC_OK
        if event == bareosfd.bEventEndRestoreJob:
            return self.end_restore_job()
        return super().handle_plugin_event(event)

    def _cancel(self) -> None:
        self._job_info.cancel.set()
        mover, receiver = self._mover, self._receiver
        if mover is not None:
            mover.kill()
        if receiver is not None:
            receiver.abort()

    def start_backup_job(self) -> Any:
        """The storage is ready. Not called for an estimate."""
        self._started = True
        return bareosfd.bRC_OK

    @guarded
    def end_backup_job(self) -> Any:
        """Clean up, however the job ended."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._close_disk_log)
            self._clean_up()
        return bareosfd.bRC_OK

    @guarded
    def end_restore_job(self) -> Any:
        """Complete the restore: the last chance to fail an incomplete one."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._close_disk_log)
            stack.callback(self._clean_up)
            if self._restore is not None:
                self._complete(self._restore)
                self._abandon()
        return bareosfd.bRC_OK

    def _complete(self, restore: RestoreJob) -> None:
        """End the restore of each VM; an incomplete one does not stop the others."""
        if self._log.failed or self._job_info.cancel.is_set():
            return
        if not restore.running:
            text = "No file of a VM was selected: no VM is restored"
            self._log.info(str(errors.Notice("nothing-selected", text)))
        for job in restore.running:
            try:
                job.end()
            except Exception as error:  # noqa: BLE001 - becomes the job's failure
                self.fail(error)

    # Backup

    @guarded
    def start_backup_file(self, savepkt: Any) -> Any:
        """Offer the next item."""
        if self._options is None or self._log.failed:
            return bareosfd.bRC_Error
        if self._job_info.cancel.is_set():
            return bareosfd.bRC_Stop
        if self._next is None:
            self._start_line()
        self._item = self._next
        _describe(savepkt, self._item)
        return bareosfd.bRC_OK

    def _start_line(self) -> None:
        """Begin the backup of this Plugin line's VM; for an estimate, which no event announces,
        only list its files.
        """
        assert self._options is not None
        if not self._started:
            self._offer = estimate.files(self._options, self._job_info)
            self._next = next(self._offer)
            return
        done = [job.instance_uuid for job in self._done]
        self._backup = vm_backup.begin(
            self._options, self._job_info, self._log, self._previous, done
        )
        self._offer = self._backup.offer()
        self._next = next(self._offer)

    @guarded
    def end_backup_file(self) -> Any:
        """Go on to the next item, or end this Plugin line."""
        if self._log.failed or self._job_info.cancel.is_set():
            return bareosfd.bRC_OK
        self._next = next(self._offer, None)
        if self._next is not None:
            return bareosfd.bRC_More
        if self._backup is not None:
            self._backup.end()
            self._backup.close()
            self._done.append(self._backup)
            self._backup = None
        return bareosfd.bRC_OK

    # Restore

    @guarded
    def restore_object_data(self, rop: Any) -> Any:
        """Take a piece of a manifest: the base job's in a backup, a selected job's in a restore."""
        if self._level_is_backup():
            self._take_in(bytes(rop.object))
            return bareosfd.bRC_OK
        self._restores().object(rop.plugin_name, rop.jobid, bytes(rop.object))
        return bareosfd.bRC_OK

    def _take_in(self, piece: bytes) -> None:
        try:
            self._previous.add(piece)
        except manifest.ManifestError as error:
            self._log.warn(
                "restore-object-unusable",
                f"A restore object of the previous job cannot be used: {error}",
                *errors.ids(error),
            )

    @guarded
    def check_file(self, fname: str) -> Any:
        """Accurate: is this file of an earlier job still needed? If not, it leaves the view."""
        needed = any(job.needs(fname) for job in self._done)
        return bareosfd.bRC_Seen if needed else bareosfd.bRC_OK

    @guarded
    def start_restore_file(self, cmd: str) -> Any:
        """A file is about to come; `cmd` is the Plugin line that saved it."""
        self._restores().line(cmd)
        return bareosfd.bRC_OK

    @guarded
    def create_file(self, restorepkt: Any) -> Any:
        """Say whether the file's data is needed."""
        self._path = _virtual_path(restorepkt)
        needed = restorepkt.type == bareosfd.FT_REG and self._restores().wanted(self._path)
        skip, take = bareosfd.CF_SKIP, bareosfd.CF_EXTRACT
        restorepkt.create_status = take if needed and not self._log.failed else skip
        return bareosfd.bRC_OK

    def _restores(self) -> RestoreJob:
        if self._restore is None:
            raise errors.RestoreError(
                "Bareos restores a file without having given plugin options", id="options-not-given"
            )
        return self._restore

    def _abandon(self) -> None:
        """After a failure or a cancel, log what the restore left behind."""
        if self._restore is None or not (self._log.failed or self._job_info.cancel.is_set()):
            return
        left = self._restore.abandon()
        self._log.error("restore-incomplete", f"The restore is not complete. Left behind: {left}")

    # Data

    @guarded
    def plugin_io_open(self, iop: Any) -> Any:
        """Give Bareos' core the descriptor that it reads or writes itself."""
        iop.status = iop.io_errno = 0
        if iop.flags & (os.O_WRONLY | os.O_RDWR):
            self._receiver = self._restores().open(self._path)
            self._hand_over(iop, self._receiver.data_fd)
        elif isinstance(self._item, items.SegmentFile):
            assert self._backup is not None
            self._mover = self._backup.start(self._item)
            self._hand_over(iop, self._mover.data_fd)
        else:
            assert isinstance(self._item, items.ContentFile)
            self._content = self._item.content
        return bareosfd.bRC_OK

    def _hand_over(self, iop: Any, descriptor: int) -> None:
        iop.filedes = descriptor
        iop.status = bareosfd.iostat_do_in_core
        if self._job_info.cancel.is_set():
            self._cancel()

    def plugin_io_read(self, iop: Any) -> Any:
        """Small files are read from memory."""
        iop.buf = bytearray(self._content[: iop.count])
        self._content = self._content[iop.count :]
        iop.status, iop.io_errno = len(iop.buf), 0
        return bareosfd.bRC_OK

    @guarded
    def plugin_io_close(self, iop: Any) -> Any:
        """The core is done: check that all data came. Bareos never notices a short file."""
        mover, self._mover = self._mover, None
        receiver, self._receiver = self._receiver, None
        if self._job_info.cancel.is_set() or self._log.failed:
            if mover is not None:
                mover.kill()
            if receiver is not None:
                receiver.abort()
        elif mover is not None:
            assert self._backup is not None and isinstance(self._item, items.SegmentFile)
            self._backup.finish(self._item, mover)
        elif receiver is not None:
            self._restores().received(receiver)
        return bareosfd.bRC_OK

    def plugin_io_write(self, iop: Any) -> Any:
        """Not reached: data is written in the core. Refuse rather than lose it."""
        self._log.fatal(
            "data-through-plugin",
            "Bareos wrote data through the plugin, which must go through the core",
        )
        iop.status, iop.io_errno = -1, 5
        return bareosfd.bRC_Error

    # Ends

    def fail(self, error: BaseException) -> None:
        """Fail the job with one message; a cancel needs none."""
        if isinstance(error, errors.Canceled):
            self._log.info(str(error))
        else:
            self._log.failure(error)

    def _clean_up(self) -> None:
        """Kill what runs, delete the backup snapshot, remove spool files, all of it, whatever one
        step does; safe to call again.
        """
        mover, self._mover = self._mover, None
        receiver, self._receiver = self._receiver, None
        backup, self._backup = self._backup, None
        restore, self._restore = self._restore, None
        with contextlib.ExitStack() as stack:  # the last one is called first
            if restore is not None:
                stack.callback(restore.close)
            if backup is not None:
                stack.callback(backup.close)
            if receiver is not None:
                stack.callback(receiver.abort)
            if mover is not None:
                stack.callback(mover.kill)

    def _close_disk_log(self) -> None:
        """Keep the disk log after a failure or if vddk_log says so, else remove it."""
        ended_well = not (self._log.failed or self._job_info.cancel.is_set())
        always = self._options is not None and self._options.vddk_log != "failed"
        log = DiskLog(self._job_info.working_directory, self._job_info.unique_name)
        kept = log.close(keep=always or not ended_well)
        if kept:
            self._log.info(kept)

    def _level_is_backup(self) -> bool:
        return self._job_info.level in ("F", "I", "D")


def _describe(savepkt: Any, item: Optional[items.Item]) -> None:
    """Fill the save packet. The modification time is now, or Bareos would call it unchanged."""
    assert item is not None
    now = int(time.time())
    statp = bareosfd.StatPacket()
    statp.st_mode = stat.S_IFREG | 0o600
    statp.st_mtime = statp.st_ctime = statp.st_atime = now
    savepkt.statp = statp
    savepkt.no_read = False
    if isinstance(item, items.RestoreObject):
        savepkt.type = bareosfd.FT_RESTORE_FIRST
        savepkt.fname = item.name
        savepkt.object_name = item.name
        savepkt.object = bytearray(item.content)
        savepkt.object_len = len(item.content)
        savepkt.object_index = item.index
        return
    savepkt.type = bareosfd.FT_REG
    savepkt.fname = item.name
    statp.st_size = len(item.content) if isinstance(item, items.ContentFile) else item.size


def _virtual_path(restorepkt: Any) -> str:
    """The file's virtual path, without the `where` that may precede it."""
    return names.without_where(str(restorepkt.ofname))
