# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Saves one item that the plugin offered.

Deviation: data are stored as they come, without Bareos' compression, signatures and encryption;
hard links are not looked for (as with Bareos' default HardLinks = no).
"""

from __future__ import annotations

import os
import stat
import struct
from typing import Optional

from vmsnap_lab.filedaemon import streams
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.job import (
    control,
    interrupt,
    items,
    plugin,
    pluginfile,
    storage,
    xattrs,
)

_ONLY_THE_DIRECTORY = {
    bareosfd.FT_NORECURSE: "recursion is turned off",
    bareosfd.FT_NOFSCHG: "it is a different file system",
    bareosfd.FT_INVALIDFS: "its file system is not allowed",
}
_FAILED = {
    bareosfd.FT_NOACCESS: "Could not access",
    bareosfd.FT_NOFOLLOW: "Could not follow link",
    bareosfd.FT_NOSTAT: "Could not stat",
    bareosfd.FT_NOOPEN: "Could not open directory",
}
_UNCHANGED = frozenset({bareosfd.FT_NOCHG, bareosfd.FT_DIRNOCHG})
_SAVED = frozenset(
    {
        bareosfd.FT_LNKSAVED,
        bareosfd.FT_REGE,
        bareosfd.FT_REG,
        bareosfd.FT_LNK,
        bareosfd.FT_RESTORE_FIRST,
        bareosfd.FT_PLUGIN_CONFIG,
        bareosfd.FT_DIREND,
        bareosfd.FT_REPARSE,
        bareosfd.FT_JUNCTION,
        bareosfd.FT_SPEC,
        bareosfd.FT_RAW,
        bareosfd.FT_FIFO,
        bareosfd.FT_DELETED,
        bareosfd.FT_INVALIDDT,
    }
)
_LINKS = frozenset({bareosfd.FT_LNK, bareosfd.FT_LNKSAVED, bareosfd.FT_JUNCTION})
_ADDRESS = struct.Struct(">Q")


class FileSaver:
    """Sends the records of each item to the storage."""

    def __init__(
        self,
        jcr: control.JobControl,
        python: plugin.Plugin,
        sd: storage.Saving,
        core_io: interrupt.CoreIo,
    ) -> None:
        self.acl_errors = 0
        self.xattr_errors = 0
        self._jcr = jcr
        self._plugin = python
        self._sd = sd
        self._core_io = core_io

    def save(self, item: items.SaveItem, cmd: str) -> None:
        """`cmd` is the plugin string; it is stored with the item and comes back at restore."""
        if self._jcr.is_stopped() or not self._is_to_be_saved(item):
            return
        index = self._jcr.files + 1
        self._sd.send(index, streams.PLUGIN_NAME, f"{index} 1 1 {cmd}".encode())
        self._jcr.files = index
        if self._send_attributes(index, item, cmd) and not item.is_object:
            self._save_content(index, item)
        if not self._jcr.is_stopped():
            self._sd.send(index, streams.PLUGIN_NAME, f"{index} 0".encode())

    def send_deleted(self, name: str, known: dict[str, int]) -> None:
        """A file of the previous jobs that is gone."""
        self._jcr.files += 1
        times = {key: known[key] for key in ("st_mtime", "st_ctime")}
        attributes = {
            "name": name,
            "type": bareosfd.FT_DELETED,
            "link": "",
            "stat": {**dict.fromkeys(known, 0), **times},
            "data_stream": streams.FILE_DATA,
        }
        self._sd.send_json(self._jcr.files, streams.UNIX_ATTRIBUTES, attributes)

    def _is_to_be_saved(self, item: items.SaveItem) -> bool:
        message, name = self._jcr.message, item.fname
        if item.type in _ONLY_THE_DIRECTORY:
            reason = _ONLY_THE_DIRECTORY[item.type]
            message(bareosfd.M_INFO, f"Only the directory {name} is saved: {reason}")
            item.type = bareosfd.FT_DIREND
        if item.type == bareosfd.FT_SPEC and stat.S_ISSOCK(item.stat["st_mode"]):
            message(bareosfd.M_SKIPPED, f"Socket file skipped: {name}")
            return False
        if item.type in _SAVED:
            return True
        if item.type in _UNCHANGED:
            message(bareosfd.M_SKIPPED, f"Unchanged file skipped: {name}")
        elif item.type == bareosfd.FT_ISARCH:
            message(bareosfd.M_NOTSAVED, f"Archive file not saved: {name}")
        elif item.type in _FAILED:
            self._jcr.not_saved(f'{_FAILED[item.type]} "{name}"')
        elif item.type != bareosfd.FT_DIRBEGIN:
            self._jcr.not_saved(f"Unknown file type {item.type}; not saved: {name}")
        return False

    def _send_attributes(self, index: int, item: items.SaveItem, cmd: str) -> bool:
        if item.is_object:
            described = {
                "name": item.object_name,
                "plugin": cmd,
                "type": item.type,
                "index": item.object_index,
            }
            return self._sd.send_json(index, streams.RESTORE_OBJECT, described, item.object)
        attributes = {
            "name": item.stored_name,
            "type": item.type,
            "link": item.link if item.type in _LINKS else "",
            "stat": item.stat,
            "data_stream": self._data_stream(item),
        }
        return self._sd.send_json(index, streams.UNIX_ATTRIBUTES, attributes)

    def _save_content(self, index: int, item: items.SaveItem) -> None:
        if item.type == bareosfd.FT_DELETED:
            return
        if item.has_flag(items.OFFSETS):
            self._jcr.message(bareosfd.M_FATAL, "Loopback jobs do not keep FO_OFFSETS")
            return
        if not item.no_read:
            file = pluginfile.PluginFile(self._plugin, self._core_io)
            if not file.open(item.fname, os.O_RDONLY, 0):
                error = os.strerror(file.errno)
                self._jcr.not_saved(f'Cannot open "{item.fname}": ERR={error}.')
                return
            sent = self._send_data(index, item, file)
            file.close()
            if not sent:
                return
        if item.type != bareosfd.FT_LNK:
            self._save_acl(index, item.fname)
        self._save_xattrs(index, item.fname)

    def _data_stream(self, item: items.SaveItem) -> int:
        return streams.SPARSE_DATA if item.has_flag(items.SPARSE) else streams.FILE_DATA

    def _send_data(self, index: int, item: items.SaveItem, file: pluginfile.PluginFile) -> bool:
        """Whether the storage took what could be read; a read error leaves a short file."""
        stream = self._data_stream(item)
        sparse = stream == streams.SPARSE_DATA
        count = streams.BLOCK - streams.ADDRESS if sparse else streams.BLOCK
        address = 0
        block: Optional[memoryview] = None
        while self._sd.usable:
            block = file.read(count)
            if not block:
                break
            parts = (_ADDRESS.pack(address), block) if sparse else (block,)
            hole = sparse and _is_hole(block, address, count, item.stat["st_size"])
            if not hole and not self._sd.send(index, stream, *parts):
                self._read_ahead(file, count, item.stat["st_size"])
                break
            address += len(block)
            self._jcr.bytes += 0 if hole else sum(len(part) for part in parts)
        if block is None:
            error = os.strerror(file.errno)
            self._jcr.message(bareosfd.M_ERROR, f"Read error on file {item.fname}. ERR={error}")
            self._jcr.errors += 1
        return self._sd.usable

    def _read_ahead(self, file: pluginfile.PluginFile, count: int, size: int) -> None:
        """Bareos reads large files while it sends: there is one more read after a cancel."""
        if size >= 2 * count and not file.in_core:
            file.read(count)

    def _save_acl(self, index: int, name: str) -> None:
        returned, content = self._plugin.get_acl(name)
        if returned != bareosfd.bRC_OK:
            self._jcr.message(bareosfd.M_ERROR, f"No ACL from the plugin for {name}")
            self.acl_errors += 1
        elif content is not None:
            self._sd.send(index, streams.ACL_PLUGIN, content + bytes(1))

    def _save_xattrs(self, index: int, name: str) -> None:
        attributes: list[xattrs.Attribute] = []
        returned = bareosfd.bRC_More
        while returned == bareosfd.bRC_More:
            returned, attribute = self._plugin.get_xattr(name)
            if attribute is not None and returned in (bareosfd.bRC_OK, bareosfd.bRC_More):
                attributes.append(attribute)
            if sum(map(xattrs.size, attributes)) >= xattrs.LIMIT:
                returned = bareosfd.bRC_Error
        if returned != bareosfd.bRC_OK:
            self._jcr.message(bareosfd.M_ERROR, f"No extended attributes saved for {name}")
            self.xattr_errors += 1
        elif attributes:
            self._sd.send(index, streams.XATTR_PLUGIN, xattrs.pack(attributes))


def _is_hole(block: memoryview, address: int, count: int, size: int) -> bool:
    """Whether a block of sparse data is left out: full, all zero and, to Bareos, not the last.

    Bareos looks at the address only for files of less than two blocks.
    """
    end = address + len(block) if size < 2 * count else len(block) + count
    return len(block) == count and end < size and bytes(block).count(0) == count
