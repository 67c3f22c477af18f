# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the storage reads from qcow2 files itself, and the one field that it writes.

qemu-img shows the same, but a process start for each query is most of the time that a snapshot
of a small disk takes. The format is published as docs/interop/qcow2.txt in the QEMU sources;
numbers are big-endian.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vmsnap_lab.storage.blockruns import join
from vmsnap_lab.storage.errors import StorageError

MAGIC = b"QFI\xfb"
_MAX_BACKING_NAME = 1023
_BITMAPS_EXTENSION = 0x23852875
_END_OF_EXTENSIONS = 0
_BITMAPS_CONSISTENT = 1  # autoclear feature bit 0
_IN_USE = 1
_ALL_ONES = 1
_ENTRY_OFFSET = 0x00FFFFFFFFFFFE00

# magic, version, backing name offset and size, cluster bits, capacity
_START = struct.Struct(">4sIQIIQ")
_AUTOCLEAR = struct.Struct(">Q")  # at 88
_HEADER_LENGTH = struct.Struct(">I")  # at 100
_EXTENSION = struct.Struct(">II")  # type, length; data padded to 8 bytes
_BITMAPS = struct.Struct(">IIQQ")  # number, reserved, directory size, directory offset
# table offset, table entries, flags, type, granularity bits, name size, extra data size
_DIRECTORY_ENTRY = struct.Struct(">QIIBBHI")


@dataclass(frozen=True)
class Header:
    """capacity: bytes. backing: the parent's name as stored, relative to the file, or None."""

    capacity: int
    cluster_size: int
    backing: str | None


@dataclass(frozen=True)
class Bitmap:
    """A persistent dirty bitmap as it was when the file was last closed.

    consistent: False when the file is open for writing, or its last writer was killed.
    granules: (first, count) of set bits, ascending.
    """

    consistent: bool
    granularity: int
    granules: tuple[tuple[int, int], ...]


def is_qcow2(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == MAGIC


def read_header(file: Path) -> Header:
    """Raises StorageError "corrupt" for anything but a qcow2 file of version 3."""
    with file.open("rb") as stream:
        _, offset, size, bits, capacity = _read_start(stream, file)
        backing = os.fsdecode(_read_at(stream, offset, size)) if offset else None
    return Header(capacity, 1 << bits, backing)


def set_backing(file: Path, name: str) -> None:
    """Point a file that has a parent to another name of it; `qemu-img rebase -u` does the same.

    The name is the last thing in the first cluster, so a longer one has room to grow into.
    Raises StorageError "corrupt" if it is not, "bad-request" for a name too long.
    """
    encoded = os.fsencode(name)
    if len(encoded) > _MAX_BACKING_NAME:
        raise StorageError("bad-request", f"the parent's name is too long for {file.name}: {name}")
    with file.open("r+b", buffering=0) as stream:
        _, offset, size, bits, _ = _read_start(stream, file)
        room = max(len(encoded), size)
        if not offset or offset + room > 1 << bits:
            raise StorageError("corrupt", f"{file.name} has no room for its parent's name")
        start = bytearray(_read_at(stream, 0, offset + room))
        if any(start[offset + size :]):
            raise StorageError("corrupt", f"{file.name} has data behind its parent's name")
        struct.pack_into(">I", start, 16, len(encoded))
        start[offset:] = encoded.ljust(room, b"\0")
        os.pwrite(stream.fileno(), start, 0)  # in one go: a killed lab leaves one name or the other


def read_bitmap(file: Path, name: str) -> Bitmap | None:
    """The named dirty bitmap, or None if the file has none of that name."""
    with file.open("rb") as stream:
        _, _, _, bits, _ = _read_start(stream, file)
        (autoclear,) = _AUTOCLEAR.unpack(_read_at(stream, 88, 8))
        directory = _find_directory(stream)
        while directory:
            table, entries, flags, _, granularity, name_size, extra = _DIRECTORY_ENTRY.unpack_from(
                directory
            )
            start = _DIRECTORY_ENTRY.size + extra
            if directory[start : start + name_size] == name.encode():
                consistent = bool(autoclear & _BITMAPS_CONSISTENT) and not flags & _IN_USE
                pairs = _read_granules(stream, table, entries, 1 << bits) if consistent else ()
                return Bitmap(consistent, 1 << granularity, tuple(join(pairs)))
            directory = directory[-(-(start + name_size) // 8) * 8 :]
    return None


def _read_start(stream: BinaryIO, file: Path) -> tuple[int, int, int, int, int]:
    data = stream.read(_START.size)
    if len(data) == _START.size:
        magic, version, offset, size, bits, capacity = _START.unpack(data)
        if magic == MAGIC and version == 3:
            return version, offset, size, bits, capacity
    raise StorageError("corrupt", f"{file.name} is not a disk of this storage")


def _read_at(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    return stream.read(size)


def _find_directory(stream: BinaryIO) -> bytes:
    (offset,) = _HEADER_LENGTH.unpack(_read_at(stream, 100, 4))
    while True:
        kind, length = _EXTENSION.unpack(_read_at(stream, offset, _EXTENSION.size))
        if kind == _END_OF_EXTENSIONS:
            return b""
        if kind == _BITMAPS_EXTENSION:
            _, _, size, start = _BITMAPS.unpack(stream.read(_BITMAPS.size))
            return _read_at(stream, start, size)
        offset += _EXTENSION.size + -(-length // 8) * 8


def _read_granules(
    stream: BinaryIO, table: int, entries: int, cluster: int
) -> Iterator[tuple[int, int]]:
    for number, entry in enumerate(struct.iter_unpack(">Q", _read_at(stream, table, 8 * entries))):
        first = number * cluster * 8
        offset = entry[0] & _ENTRY_OFFSET
        if offset:
            yield from _set_bits(_read_at(stream, offset, cluster), first)
        elif entry[0] & _ALL_ONES:
            yield first, cluster * 8


def _set_bits(data: bytes, first: int) -> Iterator[tuple[int, int]]:
    """Set bits of a little-endian bit string, whose first bit has the number `first`."""
    for match in re.finditer(rb"\xff+|[^\x00\xff]", data, re.DOTALL):
        start = first + 8 * match.start()
        if match[0][0] == 0xFF:
            yield start, 8 * len(match[0])
        else:
            yield from ((start + bit, 1) for bit in range(8) if match[0][0] >> bit & 1)
