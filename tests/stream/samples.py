# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Small segments to read, change and damage."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from bareos_vmsnap.stream import layout
from tests.stream.segment_writer import SegmentWriter

HEADER = {"capacity": 4096, "chunk": 256, "vm": "虚拟机/one"}


def segment(header: Mapping[str, Any], frames: Sequence[tuple[int, int, Optional[bytes]]]) -> bytes:
    """Return a segment of frames (offset, length, data or None for zeros)."""
    sink = io.BytesIO()
    writer = SegmentWriter(sink, header)
    for offset, length, data in frames:
        if data is None:
            writer.zero(offset, length)
        else:
            writer.data(offset, data)
    writer.finish()
    return sink.getvalue()


def small() -> bytes:
    """Return a segment with every kind of frame, out of disk order."""
    noise = random.Random(7).randbytes(40)
    return segment(
        HEADER,
        [
            (512, 128, b"text " * 25 + b"abc"),
            (0, 40, noise),
            (1024, 2048, None),
            (256, 64, b"\x55" * 64),
        ],
    )


def parts(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Cut a segment in its header, its frames with their payloads, and its trailer."""
    text_length = layout.PREAMBLE.unpack(data[: layout.PREAMBLE.size])[3]
    place = layout.PREAMBLE.size + text_length
    header, frames = data[:place], []
    while data[place : place + 4] == layout.FRAME_MARK:
        stored = layout.FRAME.unpack(data[place : place + layout.RECORD])[6]
        frames.append(data[place : place + layout.RECORD + stored])
        place += layout.RECORD + stored
    return header, frames, data[place:]
