# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the core and the plugin exchange, in the core's own form."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import Any, Optional

from vmsnap_lab.filedaemon.bareos_modules import bareosfd

OBJECTS = frozenset(
    {bareosfd.FT_RESTORE_FIRST, bareosfd.FT_PLUGIN_CONFIG, bareosfd.FT_PLUGIN_CONFIG_FILLED}
)
_DIRECTORIES = frozenset({bareosfd.FT_DIREND, bareosfd.FT_REPARSE})

# Bits of savepkt.flags, and its size in bytes
SPARSE = 5
ACL = 14
NO_HARDLINK = 15
XATTR = 27
OFFSETS = 30
FLAG_BYTES = 5


def default_flags(sparse: bool) -> bytearray:
    """The flags of a FileSet with Bareos' default options."""
    flags = bytearray(FLAG_BYTES)
    for bit in (ACL, NO_HARDLINK, XATTR, *([SPARSE] if sparse else [])):
        flags[bit // 8] |= 1 << bit % 8
    return flags


@dataclass
class SaveItem:
    """One item of a backup: file, directory or restore object. `stat` has StatPacket's names."""

    flags: bytearray
    fname: str = ""
    link: str = ""
    stat: dict[str, int] = field(default_factory=dict)
    type: int = 0
    no_read: bool = False
    save_time: int = 0
    object_name: str = ""
    object: bytes = b""
    object_index: int = 0

    @property
    def is_object(self) -> bool:
        return self.type in OBJECTS

    @property
    def stored_name(self) -> str:
        """Bareos stores a directory under its link: the name with a slash at its end."""
        return self.link if self.type in _DIRECTORIES else self.fname

    @property
    def accurate_name(self) -> str:
        """The name that the item is looked up by among the files of the previous jobs."""
        return self.link if stat.S_ISDIR(self.stat["st_mode"]) else self.fname

    def has_flag(self, bit: int) -> bool:
        return bool(self.flags[bit // 8] & 1 << bit % 8)

    def describe(self) -> dict[str, Any]:
        if self.is_object:
            return {
                "type": self.type,
                "object_name": self.object_name,
                "object_index": self.object_index,
                "object_len": len(self.object),
            }
        return {"type": self.type, "fname": self.fname, "link": self.link, "no_read": self.no_read}


@dataclass
class RestoreItem:
    """One file of a restore."""

    file_index: int
    type: int
    name: str  # as stored
    ofname: str  # where it goes
    olname: str
    where: str
    replace: int
    data_stream: int
    stat: dict[str, int]
    create_status: int = bareosfd.CF_ERROR
    filedes: int = -1

    def describe(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "ofname": self.ofname,
            "olname": self.olname,
            "where": self.where,
            "replace": self.replace,
            "data_stream": self.data_stream,
            "file_index": self.file_index,
            "st_size": self.stat["st_size"],
        }


@dataclass
class RestoredObject:
    """A restore object on its way back, decompressed; lengths in bytes."""

    plugin: str
    name: str
    type: int
    index: int
    compression: int
    job_id: int
    data: bytes

    def describe(self) -> dict[str, Any]:
        return {
            "object_name": self.name,
            "object_type": self.type,
            "object_index": self.index,
            "object_len": len(self.data),
            "jobid": self.job_id,
        }


@dataclass
class Io:
    """One call of plugin_io; status, errno, filedes and (for IO_READ) data are its outcome."""

    func: int
    fname: Optional[str] = None
    count: int = 0
    flags: int = 0
    mode: int = 0
    data: Any = b""
    offset: int = 0
    whence: int = 0
    filedes: int = 0
    status: int = 0
    errno: int = 0

    def describe(self) -> dict[str, Any]:
        if self.func == bareosfd.IO_OPEN:
            return {"fname": self.fname, "flags": self.flags, "mode": self.mode}
        if self.func in (bareosfd.IO_READ, bareosfd.IO_WRITE):
            return {"count": self.count}
        if self.func == bareosfd.IO_SEEK:
            return {"offset": self.offset, "whence": self.whence}
        return {}
