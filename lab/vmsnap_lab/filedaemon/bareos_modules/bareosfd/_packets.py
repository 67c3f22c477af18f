# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The packets that travel between the file daemon and a plugin.

Deviation: the real ones print every member in a form of their own; here repr() has name=value.
"""

from __future__ import annotations

import stat
import time
from typing import Any, Optional, TypeVar

from vmsnap_lab.filedaemon.bareos_modules.bareosfd._members import (
    Boolean,
    Integer,
    Member,
    Object,
    String,
)

_PacketType = TypeVar("_PacketType", bound="Packet")


class Packet:
    """No attribute but the declared members."""

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        packet = super().__new__(cls)
        packet._values = {name: member.default for name, member in _members(cls).items()}
        return packet

    def __init__(self, *arguments: Any, **named: Any) -> None:
        if not arguments and not named:
            return
        parameters = self._parameters()
        if parameters is None:  # the real constructor has a malformed argument format
            raise SystemError("impossible<bad format char>")
        if len(arguments) > len(parameters):
            raise TypeError(f"{type(self).__name__}() takes at most {len(parameters)} arguments")
        members = _members(type(self))
        for parameter, value in [*zip(parameters, arguments), *named.items()]:
            if parameter not in parameters:
                raise TypeError(f"{parameter!r} is an invalid keyword argument")
            name = parameters[parameter]
            self._values[name] = members[name].parse(value)

    @classmethod
    def _parameters(cls) -> Optional[dict[str, str]]:
        """The constructor's parameters in their order, each with the member it sets."""
        return None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{type(self).__name__}({shown})"


def make(kind: type[_PacketType], **values: Any) -> _PacketType:
    """A packet as the core fills it: also the members that plugins cannot set."""
    packet: _PacketType = kind.__new__(kind)
    packet._values.update(values)
    return packet


def values_of(packet: Packet) -> dict[str, Any]:
    """The values of all members, by name."""
    return dict(packet._values)


def _members(cls: type) -> dict[str, Member]:
    return {
        name: member
        for owner in reversed(cls.__mro__)
        for name, member in vars(owner).items()
        if isinstance(member, Member)
    }


class StatPacket(Packet):
    """The fields of stat(); sizes in bytes, times in whole seconds."""

    __slots__ = ()
    st_dev = Integer(32, signed=False)
    st_ino = Integer(64, signed=False)
    st_mode = Integer(16, signed=False)
    st_nlink = Integer(16, signed=False)
    st_uid = Integer(32, signed=False)
    st_gid = Integer(32, signed=False)
    st_rdev = Integer(32, signed=False)
    st_size = Integer(64, signed=False)
    st_atime = Integer(64)
    st_mtime = Integer(64)
    st_ctime = Integer(64)
    st_blksize = Integer(32, signed=False)
    st_blocks = Integer(64, signed=False)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        now = int(time.time())
        self._values.update(st_mode=stat.S_IFREG | 0o700, st_size=2**64 - 1, st_blksize=4096)
        self._values.update(st_atime=now, st_mtime=now, st_ctime=now, st_blocks=1)
        super().__init__(*arguments, **named)

    @classmethod
    def _parameters(cls) -> dict[str, str]:
        return {name[len("st_") :]: name for name in _members(StatPacket)}


class SavePacket(Packet):
    """One item of a backup."""

    __slots__ = ()
    fname = Object()
    link = Object()
    statp = Object()
    type = Integer()
    flags = Object()
    no_read = Boolean()
    portable = Boolean()
    accurate_found = Boolean()
    cmd = String()
    save_time = Integer(32, signed=False)
    delta_seq = Integer(32, signed=False)
    object_name = Object()
    object = Object()
    object_len = Integer()
    object_index = Integer()

    @classmethod
    def _parameters(cls) -> dict[str, str]:
        return {name: name for name in _members(SavePacket) if name != "statp"}


class RestorePacket(Packet):
    """One file of a restore. It has nothing about the job that the file comes from."""

    __slots__ = ()
    stream = Integer()
    data_stream = Integer()
    type = Integer()
    file_index = Integer()
    linkFI = Integer()
    uid = Integer(32, signed=False)
    statp = Object()
    attrEX = String()
    ofname = String()
    olname = String()
    where = String()
    regexwhere = String()
    replace = Integer()
    create_status = Integer()
    filedes = Integer()


class RestoreObject(Packet):
    """A restore object on its way back to the plugin."""

    __slots__ = ()
    object_name = Object()
    object = Object()
    plugin_name = String()
    object_type = Integer()
    object_len = Integer()
    object_full_len = Integer()
    object_index = Integer()
    object_compression = Integer()
    stream = Integer()
    jobid = Integer(32, signed=False)


class IoPacket(Packet):
    """One call of plugin_io."""

    __slots__ = ()
    func = Integer(16, signed=False)
    count = Integer()
    flags = Integer()
    mode = Integer()
    buf = Object()
    fname = String()
    status = Integer()
    io_errno = Integer()
    lerror = Integer()
    whence = Integer()
    offset = Integer(64)
    win32 = Boolean()
    filedes = Integer(default=-1)


class AclPacket(Packet):
    __slots__ = ()
    fname = String()
    content = Object()


class XattrPacket(Packet):
    __slots__ = ()
    fname = String()
    name = Object()
    value = Object()
