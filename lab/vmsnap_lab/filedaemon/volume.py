# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Volumes: one file for each job, its records one after another.

A record is a header (magic, file index, stream, length and xxh3_64 of the data) and the data. The
sum shows whether stored bytes were changed since; changed bytes are delivered all the same.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional, Union

import xxhash

from vmsnap_lab.filedaemon import frames, streams

_LABEL = b"bareos-vmsnap loopback volume 2\n"
_MAGIC = 0x42524543
_HEADER = struct.Struct(">IIIIQ")
START = len(_LABEL)  # where the first record goes

_Bytes = Union[bytes, memoryview]


class VolumeError(Exception):
    """A volume is not readable as such."""


class VolumeExtent(NamedTuple):
    """Where in a volume's file some data are, in bytes."""

    offset: int
    length: int


class Writer:
    """A new volume; `position` is where the next record goes. Use it as a context manager.

    `going_on`: one that is there already, and gets more records.

    Nothing is held back: a record is in the file when append() returns. A device that is there
    already, as /dev/null by a symbolic link, is written to; a file is not. Raises OSError.
    """

    def __init__(self, path: Path, *, going_on: bool = False) -> None:
        if going_on:
            self._file = path.open("ab", buffering=0)
            self.position = path.stat().st_size
            return
        self._file = path.open("wb" if path.is_char_device() else "xb", buffering=0)
        self._file.write(_LABEL)
        self.position = START

    def append(self, file_index: int, stream: int, *data: _Bytes) -> None:
        """A record whose data come in pieces."""
        self._append(file_index, stream, _sum(*data), data)

    def append_stored(self, file_index: int, found: StoredRecord) -> None:
        """A record taken from another volume, with the sum it had there."""
        self._append(file_index, found.record.stream, found.checksum, (found.record.data,))

    def _append(self, file_index: int, stream: int, checksum: int, data: Sequence[_Bytes]) -> None:
        length = sum(map(len, data))
        header = _HEADER.pack(_MAGIC, file_index, stream, length, checksum)
        size = len(header) + length
        written = os.writev(self._file.fileno(), (header, *data))
        if written < size:
            rest = memoryview(b"".join((header, *data)))[written:]
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
        self.position += size

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class StoredRecord(NamedTuple):
    """A record as it is on the volume; `extent` is where its data are."""

    record: frames.Record
    checksum: int
    extent: VolumeExtent

    @property
    def damaged(self) -> bool:
        return _sum(self.record.data) != self.checksum


def read(path: Path, begin: int, end: int) -> Iterator[StoredRecord]:
    """The records between two positions; the data of one are valid until the next one is read.

    Raises VolumeError if there is no record.
    """
    with path.open("rb", buffering=0) as file:
        if file.read(len(_LABEL)) != _LABEL:
            raise VolumeError(f"{path} is no volume")
        file.seek(begin)
        header = bytearray(_HEADER.size)
        buffer = memoryview(bytearray(streams.BLOCK))
        position = begin
        while position < end:
            if file.readinto(header) < _HEADER.size:
                raise VolumeError(f"{path} ends at {position}, in the middle of a file")
            magic, file_index, stream, length, checksum = _HEADER.unpack(header)
            if magic != _MAGIC:
                raise VolumeError(f"{path} has no record at {position}")
            if length > len(buffer):
                buffer = memoryview(bytearray(length))
            data = buffer[:length]
            if file.readinto(data) < length:
                raise VolumeError(f"{path} ends in the middle of the record at {position}")
            extent = VolumeExtent(position + _HEADER.size, length)
            yield StoredRecord(frames.Record(file_index, stream, data), checksum, extent)
            position = extent.offset + length


def _sum(*data: _Bytes) -> int:
    if len(data) == 1:
        return xxhash.xxh3_64_intdigest(data[0])
    digest = xxhash.xxh3_64()
    for piece in data:
        digest.update(piece)
    return digest.intdigest()
