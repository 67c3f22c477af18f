# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Any number of fixed-size records, kept in a temporary file beyond a few MiB."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

IN_MEMORY = 4 << 20
_PIECE = 4096


class RecordSpool:
    """Records of a struct, written in order, then read in that order as often as needed.

    Not safe for use by several threads.
    """

    def __init__(self, record: struct.Struct):
        self._record = record
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self._pending: list[bytes] = []

    def append(self, *fields: int) -> None:
        """Add one record."""
        self._pending.append(self._record.pack(*fields))
        if len(self._pending) >= _PIECE:
            self._flush()

    def extend(self, records: Iterable[tuple[int, ...]]) -> None:
        """Add many records."""
        for record in records:
            self.append(*record)

    def extend_packed(self, data: bytes) -> None:
        """Add records that are packed already; `data` may end within a record."""
        self._flush()
        self._file.write(data)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self._flush()
        size, place = self._file.tell(), 0
        while place < size:
            self._file.seek(place)
            data = self._file.read(min(_PIECE * self._record.size, size - place))
            self._file.seek(size)
            place += len(data)
            yield from self._record.iter_unpack(data)

    def _flush(self) -> None:
        if self._pending:
            self._file.write(b"".join(self._pending))
            self._pending.clear()
