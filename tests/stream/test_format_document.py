# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The format document against the code, and against a second reader written from the document."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Optional

import lz4.block
import xxhash

from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.stream.verify import verify
from tests.stream.segment_writer import SegmentWriter

from . import samples

DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"


def example() -> bytes:
    """Return the example segment: segments of version 1 stay readable for ever."""
    dump = DOCUMENT.read_text().split("## Example")[1].split("```")[1]
    lines = [line[10:59] for line in dump.strip().splitlines()]
    return bytes.fromhex("".join(lines))


def number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "little")


def read_by_the_document(
    data: bytes,
) -> tuple[dict[str, object], list[tuple[int, int, Optional[bytes]]]]:
    """Return header and frames, by nothing but the document."""
    assert data[:8] == bytes.fromhex("89564d5345470d0a")
    assert (number(data, 8, 2), number(data, 10, 2)) == (1, 0)
    place = 24 + number(data, 12, 4)
    header = data[:place]
    assert number(data, 16, 8) == xxhash.xxh3_64(data[:16] + header[24:]).intdigest()
    frames: list[tuple[int, int, Optional[bytes]]] = []
    digested, totals = header, [0, 0, 0, 0]
    while data[place : place + 4] == b"VSfr":
        head = data[place : place + 64]
        kind, length, stored = head[4], number(head, 24, 8), number(head, 32, 4)
        assert number(head, 56, 8) == xxhash.xxh3_64(head[:56]).intdigest()
        assert number(head, 8, 8) == len(frames)
        body = data[place + 64 : place + 64 + stored]
        raw = None
        if kind != 3:
            assert number(head, 48, 8) == xxhash.xxh3_64(body).intdigest()
            raw = body if kind == 1 else lz4.block.decompress(body, uncompressed_size=length)
            assert number(head, 40, 8) == xxhash.xxh3_64(raw).intdigest()
        frames.append((number(head, 16, 8), length, raw))
        totals[0] += 1
        totals[2 if kind == 3 else 1] += length
        totals[3] += stored
        digested += head[56:]
        place += 64 + stored
    trailer = data[place:]
    assert (len(trailer), trailer[:8]) == (64, b"VSen\0\0\0\0")
    assert [number(trailer, at, 8) for at in (8, 16, 24, 32)] == totals
    assert trailer[40:56] == xxhash.xxh3_128(digested).digest()
    assert number(trailer, 56, 8) == xxhash.xxh3_64(trailer[:56]).intdigest()
    return json.loads(header[24:].decode()), frames


def test_the_example_is_read() -> None:
    header, frames = read_by_the_document(example())
    assert header == {"capacity": 8192, "chunk": 1024, "disk": "scsi0:0"}
    assert frames == [(512, 13, b"bareos-vmsnap"), (0, 64, b"ab" * 32), (4096, 4096, None)]
    reader = SegmentReader(io.BytesIO(example()))
    found = [(frame.offset, frame.length, raw and bytes(raw)) for frame, raw in reader]
    assert found == frames
    assert reader.header == header


def test_the_example_is_what_is_written() -> None:
    sink = io.BytesIO()
    writer = SegmentWriter(sink, {"capacity": 8192, "chunk": 1024, "disk": "scsi0:0"})
    writer.data(512, b"bareos-vmsnap")
    header, frames, _ = samples.parts(example())
    assert sink.getvalue() == header + frames[0]
    writer.data(0, b"ab" * 32)
    writer.zero(4096, 4096)
    assert writer.finish() == verify(io.BytesIO(example())).totals


def test_what_is_written_is_read_by_the_document() -> None:
    data = samples.small()
    reader = SegmentReader(io.BytesIO(data))
    found = [(frame.offset, frame.length, raw and bytes(raw)) for frame, raw in reader]
    assert read_by_the_document(data) == (reader.header, found)
