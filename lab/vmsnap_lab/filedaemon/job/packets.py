# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From the core's items to the packets the plugin sees, and back."""

from __future__ import annotations

from typing import Any, Optional

from vmsnap_lab.filedaemon import streams
from vmsnap_lab.filedaemon.bareos_modules import bareosfd
from vmsnap_lab.filedaemon.bareos_modules.bareosfd import _packets
from vmsnap_lab.filedaemon.job import items


class BadPacket(Exception):
    """The plugin left a packet that bareosfd refuses; `error` is what Python raises then."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def save_packet(item: items.SaveItem, cmd: str) -> bareosfd.SavePacket:
    """The packet start_backup_file fills; its statp is None."""
    return _packets.make(
        bareosfd.SavePacket,
        fname=item.fname,
        link=item.link,
        flags=bytearray(item.flags),
        portable=True,
        cmd=cmd,
    )


def read_save_packet(packet: bareosfd.SavePacket, item: items.SaveItem) -> None:
    """Raises BadPacket."""
    item.fname = _text(packet.fname, TypeError('fname needs to be of type string "utf-8"'))
    wrong_link = TypeError('if given, link needs to be of type string "utf-8"')
    item.link = _text(packet.link, wrong_link)
    if not isinstance(packet.statp, bareosfd.StatPacket):
        raise BadPacket(RuntimeError("PyStatPacketToNative() failed"))
    item.stat = _packets.values_of(packet.statp)
    item.type = packet.type
    if not isinstance(packet.flags, bytearray):
        raise BadPacket(TypeError("flags need to be of type bytearray"))
    if len(packet.flags) != items.FLAG_BYTES:
        raise BadPacket(RuntimeError("PyByteArray_Size(flags) failed"))
    item.flags = bytearray(packet.flags)
    if item.is_object:
        _read_object(packet, item)
    else:
        item.no_read = packet.no_read
        item.save_time = packet.save_time


def _read_object(packet: bareosfd.SavePacket, item: items.SaveItem) -> None:
    if packet.object_len <= 0:
        raise BadPacket(RuntimeError("pSavePkt->object_len is <=0"))
    wrong_name = RuntimeError("object name must be unicode type")
    item.object_name = _text(packet.object_name, wrong_name)
    if not isinstance(packet.object, bytearray):
        raise BadPacket(RuntimeError("object needs to be of type bytearray"))
    if len(packet.object) < packet.object_len:
        raise BadPacket(RuntimeError("object_len >= len(object)"))
    item.object = bytes(packet.object[: packet.object_len])
    item.object_index = packet.object_index


def _text(value: Any, wrong: Exception) -> str:
    """`value` as the C string it becomes: UTF-8 up to the first NUL."""
    if not isinstance(value, str):
        raise BadPacket(wrong)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadPacket(error) from error
    return value.partition(chr(0))[0]


def restore_packet(item: items.RestoreItem, uid: int) -> bareosfd.RestorePacket:
    return _packets.make(
        bareosfd.RestorePacket,
        stream=streams.UNIX_ATTRIBUTES,
        data_stream=item.data_stream,
        type=item.type,
        file_index=item.file_index,
        uid=uid,
        statp=_packets.make(bareosfd.StatPacket, **item.stat),
        attrEX="",
        ofname=item.ofname,
        olname=item.olname,
        where=item.where,
        replace=item.replace,
        create_status=item.create_status,
        filedes=item.filedes,
    )


def restore_object(restored: items.RestoredObject) -> bareosfd.RestoreObject:
    return _packets.make(
        bareosfd.RestoreObject,
        object_name=restored.name,
        object=bytearray(restored.data),
        plugin_name=restored.plugin,
        object_type=restored.type,
        object_len=len(restored.data),
        object_full_len=len(restored.data),
        object_index=restored.index,
        object_compression=restored.compression,
        jobid=restored.job_id,
    )


def io_packet(io: items.Io) -> bareosfd.IoPacket:
    return _packets.make(
        bareosfd.IoPacket,
        func=io.func,
        count=io.count,
        flags=io.flags,
        mode=io.mode,
        buf=bytearray(io.data) if io.data else None,
        fname=io.fname,
        whence=io.whence,
        offset=io.offset,
        filedes=io.filedes,
    )


def read_io_packet(packet: bareosfd.IoPacket, io: items.Io) -> None:
    """Status, errno, descriptor and what was read. Raises BadPacket.

    More data than IOP.count makes the status -1 without a message. Deviation: for a buffer of
    another type, or shorter than its status, Bareos takes what its memory holds.
    """
    io.status, io.errno, io.filedes = packet.status, packet.io_errno, packet.filedes
    if io.func != bareosfd.IO_READ or io.status <= 0:
        return
    if not isinstance(packet.buf, (bytearray, bytes)):
        raise BadPacket(TypeError("IOP.buf needs to be of type bytearray or bytes"))
    if len(packet.buf) > io.count or io.status > io.count:
        io.status = -1
    elif io.status > len(packet.buf):
        raise BadPacket(ValueError("IOP.status is larger than IOP.buf"))
    else:
        io.data = packet.buf[: io.status]


def acl_packet(name: str, content: Optional[bytes] = None) -> bareosfd.AclPacket:
    filled = bytearray(content) if content else None
    return _packets.make(bareosfd.AclPacket, fname=name, content=filled)


def read_acl_packet(packet: bareosfd.AclPacket) -> Optional[bytes]:
    """Raises BadPacket."""
    if packet.content is not None and not isinstance(packet.content, bytearray):
        raise BadPacket(TypeError("acl packet content needs to be of bytearray type"))
    return bytes(packet.content) if packet.content else None


def xattr_packet(
    name: str, attribute: Optional[tuple[bytes, bytes]] = None
) -> bareosfd.XattrPacket:
    key, value = attribute or (b"", b"")
    return _packets.make(
        bareosfd.XattrPacket,
        fname=name,
        name=bytearray(key) or None,
        value=bytearray(value) or None,
    )


def read_xattr_packet(packet: bareosfd.XattrPacket) -> Optional[tuple[bytes, bytes]]:
    """None also for a name that is no bytearray: Bareos ignores it."""
    if not isinstance(packet.name, bytearray) or not packet.name:
        return None
    value = packet.value if isinstance(packet.value, bytearray) else b""
    return bytes(packet.name), bytes(value)
