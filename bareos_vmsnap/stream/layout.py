# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segment container's byte layout, format version 1 (docs/format.md; standard library only).

A segment is a header, frames and a trailer. All integers are little-endian. Frame heads and the
trailer are records of the same size, so that a reader always knows how much to read next.
"""

from __future__ import annotations

import struct
from typing import Final, Literal, get_args

MAGIC = b"\x89VMSEG\r\n"
VERSION = 1

# magic, version, flags (0), length of the JSON text, check; the same in every future version
PREAMBLE = struct.Struct("<8sHHIQ")
# mark, kind, zeros, sequence, offset, length, stored length, zeros, raw sum, stored sum, check
FRAME = struct.Struct("<4sB3sQQQI4sQQQ")
# mark, zeros, frames, data bytes, zero bytes, stored bytes, digest, check
TRAILER = struct.Struct("<4s4sQQQQ16sQ")
CHECK = struct.Struct("<Q")
RECORD = FRAME.size

FRAME_MARK = b"VSfr"
TRAILER_MARK = b"VSen"

STORED = 1
LZ4 = 2
ZERO = 3

MAX_HEADER = 1 << 20
MAX_CHUNK = 16 << 20
MAX_CAPACITY = (1 << 63) - 1

# How data frames may be compressed.
Compression = Literal["lz4", "none"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
COMPRESSION: Final = "lz4"

# A frame starts at or after the end of every frame that precedes it by this many or more, so that
# overlaps are found, and streams merged, with bounded memory.
WINDOW = 4096


def stream_size(header_length: int, frames: int, stored_bytes: int) -> int:
    """Return the size in bytes of a whole segment whose JSON text has `header_length` bytes."""
    return PREAMBLE.size + header_length + frames * RECORD + stored_bytes + RECORD
