# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The extended attributes of a file as one record, in Bareos' form."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

LIMIT = 1024 * 1024  # bytes of all attributes of a file
_MAGIC = 0x5C5884
_ENTRY = struct.Struct(">II")  # magic, length of the name
_LENGTH = struct.Struct(">I")

Attribute = tuple[bytes, bytes]


def size(attribute: Attribute) -> int:
    """Bytes an attribute takes in the record."""
    name, value = attribute
    return _ENTRY.size + len(name) + _LENGTH.size + len(value)


def pack(attributes: Iterable[Attribute]) -> bytes:
    parts = bytearray()
    for name, value in attributes:
        parts += _ENTRY.pack(_MAGIC, len(name)) + name + _LENGTH.pack(len(value)) + value
    return bytes(parts)


def unpack(record: bytes) -> Iterator[Attribute]:
    """Raises ValueError for a damaged record."""
    position = 0
    while position < len(record):
        try:
            magic, length = _ENTRY.unpack_from(record, position)
            position += _ENTRY.size
            name = record[position : position + length]
            position += length
            (length,) = _LENGTH.unpack_from(record, position)
            position += _LENGTH.size
        except struct.error as error:
            raise ValueError("the record of extended attributes is too short") from error
        if magic != _MAGIC or not name:
            raise ValueError("no extended attribute where one should be")
        yield name, record[position : position + length]
        position += length
