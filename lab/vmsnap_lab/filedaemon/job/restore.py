# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The restore command."""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Callable, Optional

from vmsnap_lab.filedaemon import frames, streams
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import (
    control,
    corefile,
    interrupt,
    items,
    plugin,
    pluginfile,
    storage,
    xattrs,
)

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_MODE = 0o600
_ADDRESS = struct.Struct(">Q")


class Restore:
    """What a file daemon does for one restore job, once it has the restore objects."""

    def __init__(
        self,
        jcr: control.JobControl,
        python: plugin.Plugin,
        sd: storage.Loading,
        core_io: interrupt.CoreIo,
    ) -> None:
        self._jcr = jcr
        self._plugin = python
        self._sd = sd
        self._file = pluginfile.PluginFile(python, core_io)
        self._item: Optional[items.RestoreItem] = None
        self._extracting = False
        self._address = 0
        self._delayed: list[Callable[[], None]] = []
        self._acl_errors = 0
        self._handlers = {
            streams.PLUGIN_NAME: self._on_plugin_name,
            streams.UNIX_ATTRIBUTES: self._on_attributes,
            streams.FILE_DATA: self._on_data,
            streams.SPARSE_DATA: self._on_sparse_data,
            streams.ACL_PLUGIN: self._on_acl,
            streams.XATTR_PLUGIN: self._on_xattrs,
        }

    def run(self) -> None:
        jcr, python = self._jcr, self._plugin
        jcr.type = "R"
        jcr.where = "" if jcr.job.where == "/" else jcr.job.where
        jcr.set_status("R")
        python.raise_event(bareosfd.bEventStartRestoreJob)
        if not jcr.is_stopped():
            self._restore_all()
        if self._acl_errors:
            text = f"Encountered {self._acl_errors} acl errors while doing restore"
            jcr.message(bareosfd.M_WARNING, text)
        jcr.set_status("W" if jcr.warnings else "T")
        if jcr.errors:
            jcr.set_status("E")
        python.raise_event(bareosfd.bEventEndRestoreJob)

    def _restore_all(self) -> None:
        try:
            for record in self._sd.records():
                self._handlers[record.stream](record)
                if self._jcr.is_stopped():
                    break
        except storage.RecordError as error:
            self._jcr.message(bareosfd.M_FATAL, f"Data record error. ERR={error}")
        self._close_previous()

    def _on_plugin_name(self, record: frames.Record) -> None:
        """The start of a file carries the plugin string it was saved with."""
        self._close_previous()
        _, start, *cmd = bytes(record.data).decode().split(" ", 3)
        if start == "1":
            self._start_file(cmd[-1])
        elif self._plugin.restore_file_started:
            self._plugin.restore_file_started = False
            if self._plugin.end_restore_file() == plugin.NO_RESULT:
                text = f"Return value of endRestoreFile invalid: {plugin.NO_RESULT}"
                self._jcr.message(bareosfd.M_FATAL, text)

    def _start_file(self, cmd: str) -> None:
        if self._plugin.parse_definition(cmd) != bareosfd.bRC_OK:
            return
        started = self._plugin.start_restore_file(cmd) == bareosfd.bRC_OK
        self._plugin.restore_file_started = started

    def _on_attributes(self, record: frames.Record) -> None:
        self._close_previous()
        attributes = json.loads(bytes(record.data))
        item = self._item = self._restore_item(record.file_index, attributes)
        self._extracting = False
        status = self._create(item)
        if status == bareosfd.CF_CORE:
            status = corefile.create(item, self._file, self._jcr)
        if status in (bareosfd.CF_SKIP, bareosfd.CF_EXTRACT, bareosfd.CF_CREATED):
            self._jcr.files += 1
        if status == bareosfd.CF_EXTRACT:
            self._extracting = True
            self._address = 0
        elif status == bareosfd.CF_CREATED:
            self._set_attributes(item)

    def _restore_item(self, file_index: int, attributes: dict[str, Any]) -> items.RestoreItem:
        name, where = attributes["name"], self._jcr.where or ""
        separator = "/" if where and not where.endswith("/") and not name.startswith("/") else ""
        return items.RestoreItem(
            file_index=file_index,
            type=attributes["type"],
            name=name,
            ofname=where + separator + name,
            olname=attributes["link"],
            where=where,
            replace=ord(self._jcr.job.replace),
            data_stream=attributes["data_stream"],
            stat=attributes["stat"],
        )

    def _create(self, item: items.RestoreItem) -> int:
        """Ask the plugin to create the file; open it when data are to follow."""
        if self._jcr.is_stopped():
            return bareosfd.CF_ERROR
        if not self._plugin.restore_file_started:
            self._jcr.message(bareosfd.M_FATAL, "Unbalanced call to createFile=0 0")
            return bareosfd.CF_ERROR
        returned = self._plugin.create_file(item)
        if returned != bareosfd.bRC_OK:
            text = f"Plugin createFile call failed. Stat={returned} file={item.ofname}"
            self._jcr.message(bareosfd.M_ERROR, text)
            return bareosfd.CF_ERROR
        self._file.filedes = item.filedes
        status = item.create_status
        item.create_status, item.filedes = bareosfd.CF_ERROR, -1  # what set_file_attributes gets
        if status == bareosfd.CF_ERROR:
            text = f"Plugin createFile call failed. Returned CF_ERROR file={item.ofname}"
            self._jcr.message(bareosfd.M_ERROR, text)
        if status in (bareosfd.CF_ERROR, bareosfd.CF_SKIP, bareosfd.CF_CORE, bareosfd.CF_CREATED):
            return status
        if not self._file.open(item.ofname, _FLAGS, _MODE):
            error = os.strerror(self._file.errno)
            text = f"Could not create {item.ofname}: ERR={error}"
            self._jcr.message(bareosfd.M_ERROR, text)
            return bareosfd.CF_ERROR
        return bareosfd.CF_EXTRACT

    def _on_data(self, record: frames.Record) -> None:
        if self._extracting:
            self._write(record.data)

    def _on_sparse_data(self, record: frames.Record) -> None:
        """Before a block that does not follow its predecessor the plugin gets an IO_SEEK."""
        if not self._extracting:
            return
        (address,) = _ADDRESS.unpack(record.data[: streams.ADDRESS])
        if address != self._address:
            self._address = address
            self._file.seek(address)
        self._write(record.data[streams.ADDRESS :])

    def _write(self, data: memoryview) -> None:
        """A write that fails ends the file: the rest of its data is skipped."""
        assert self._item is not None
        if self._file.write(data):
            self._jcr.bytes += len(data)
            self._address += len(data)
            return
        error = os.strerror(self._file.errno)
        text = f"Write error on {self._item.ofname}: {error}"
        self._jcr.message(bareosfd.M_ERROR, text)
        self._extracting = False
        self._file.close()

    def _on_acl(self, record: frames.Record) -> None:
        content = bytes(record.data)
        self._now_or_delayed(lambda item: self._set_acl(item, content))

    def _on_xattrs(self, record: frames.Record) -> None:
        content = bytes(record.data)
        self._now_or_delayed(lambda item: self._set_xattrs(item, content))

    def _now_or_delayed(self, apply: Callable[[items.RestoreItem], None]) -> None:
        """Directories at once, files when their data are complete, others not at all."""
        item = self._item
        if item is None or not item.ofname:
            return
        if item.type == bareosfd.FT_DIREND:
            apply(item)
        elif self._extracting:
            self._delayed.append(lambda: apply(item))

    def _set_acl(self, item: items.RestoreItem, content: bytes) -> None:
        if self._plugin.set_acl(item.ofname, content) != bareosfd.bRC_OK:
            self._jcr.message(bareosfd.M_WARNING, f"ACL of {item.ofname} not restored")
            self._acl_errors += 1

    def _set_xattrs(self, item: items.RestoreItem, content: bytes) -> None:
        """The first attribute that fails ends the file's attributes."""
        try:
            attributes = list(xattrs.unpack(content))
        except ValueError as error:
            self._jcr.message(bareosfd.M_ERROR, f"{item.ofname}: {error}")
            return
        for attribute in attributes:
            if self._plugin.set_xattr(item.ofname, attribute) != bareosfd.bRC_OK:
                text = f"Extended attributes of {item.ofname} not restored"
                self._jcr.message(bareosfd.M_ERROR, text)
                return

    def _set_attributes(self, item: items.RestoreItem) -> None:
        self._plugin.set_file_attributes(item)
        self._file.close()

    def _close_previous(self) -> None:
        """Attributes first, then close, then what waited for the data to be complete."""
        if self._extracting:
            assert self._item is not None
            self._set_attributes(self._item)
            self._extracting = False
            delayed, self._delayed = self._delayed, []
            for apply in delayed:
                apply()
        elif self._file.is_open:
            text = "Logic error: output file should not be open"
            self._jcr.message(bareosfd.M_ERROR, text)
            self._file.close()
