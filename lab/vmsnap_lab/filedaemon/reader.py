# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The content of a stored file, as a binary stream."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vmsnap_lab.filedaemon import catalog, streams, volume

_ADDRESS = struct.Struct(">Q")


def open_file(path: Path, stored: catalog.StoredFile) -> BinaryIO:
    """What the plugin stored; holes of sparse data read as zeros."""
    return io.BufferedReader(_Blocks(_blocks(path, stored)), streams.BLOCK)


def extents(path: Path, stored: catalog.StoredFile) -> list[volume.VolumeExtent]:
    """Where in the volume's file the data of a stored file are."""
    return [
        found.extent
        for found in volume.read(path, stored.begin, stored.end)
        if found.record.stream in (streams.FILE_DATA, streams.SPARSE_DATA)
    ]


def _blocks(path: Path, stored: catalog.StoredFile) -> Iterator[memoryview]:
    position = 0
    for found in volume.read(path, stored.begin, stored.end):
        data = found.record.data
        if found.record.stream == streams.SPARSE_DATA:
            (address,) = _ADDRESS.unpack(data[: streams.ADDRESS])
            while position < address:
                hole = min(address - position, streams.BLOCK)
                yield memoryview(bytes(hole))
                position += hole
            data = data[streams.ADDRESS :]
        elif found.record.stream != streams.FILE_DATA:
            continue
        yield data
        position += len(data)


class _Blocks(io.RawIOBase):
    """A raw stream over blocks of any size."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
