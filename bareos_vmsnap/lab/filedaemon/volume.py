# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Volumes: one file for each job, its records one after another.

A record is a header (magic, file index, stream, length and CRC-32 of the data) and the data. The
CRC tells that stored bytes were changed since; the changed bytes are delivered all the same.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional, Union

from bareos_vmsnap.lab.filedaemon import wire

_LABEL = b"bareos-vmsnap loopback volume 1\n"
_MAGIC = 0x42524543
_HEADER = struct.Struct(">IIIII")


class VolumeError(Exception):
    """A volume is not readable as such."""


class Extent(NamedTuple):
    """Where in a volume's file some data are, in bytes."""

    offset: int
    length: int


class Writer:
    """A new volume. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._file.write(_LABEL)

    @property
    def position(self) -> int:
        """Where the next record goes."""
        return self._file.tell()

    def append(self, file_index: int, stream: int, data: Union[bytes, memoryview]) -> None:
        self.append_stored(file_index, stream, data, zlib.crc32(data))

    def append_stored(
        self, file_index: int, stream: int, data: Union[bytes, memoryview], crc: int
    ) -> None:
        """A record taken from another volume, with the CRC it had there."""
        self._file.write(_HEADER.pack(_MAGIC, file_index, stream, len(data), crc))
        self._file.write(data)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._file.close()


class StoredRecord(NamedTuple):
    """A record as it is on the volume; `extent` is where its data are."""

    record: wire.Record
    crc: int
    extent: Extent

    @property
    def damaged(self) -> bool:
        return zlib.crc32(self.record.data) != self.crc


def read(path: Path, begin: int, end: int) -> Iterator[StoredRecord]:
    """The records between two positions. Raises VolumeError where no record is."""
    with path.open("rb") as file:
        if file.read(len(_LABEL)) != _LABEL:
            raise VolumeError(f"{path} is no volume")
        position = begin
        while position < end:
            file.seek(position)
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise VolumeError(f"{path} ends at {position}, in the middle of a file")
            magic, file_index, stream, length, crc = _HEADER.unpack(header)
            if magic != _MAGIC:
                raise VolumeError(f"{path} has no record at {position}")
            data = memoryview(file.read(length))
            if len(data) < length:
                raise VolumeError(f"{path} ends in the middle of the record at {position}")
            extent = Extent(position + _HEADER.size, length)
            yield StoredRecord(wire.Record(file_index, stream, data), crc, extent)
            position = extent.offset + length
