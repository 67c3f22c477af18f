# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What is written comes back, whatever the order, the data and the shape of the source."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.coverage import Coverage, CoverageError
from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.stream.verify import verify
from tests.stream.segment_writer import SegmentWriter

from . import samples

text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
chunks = st.integers(1, 300)


@st.composite
def disks(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int, Optional[bytes]]]]:
    """A capacity, a chunk size and frames that do not overlap, in any order."""
    chunk = draw(chunks)
    frames: list[tuple[int, int, Optional[bytes]]] = []
    place = 0
    for _ in range(draw(st.integers(0, 12))):
        place += draw(st.integers(0, 100))
        if draw(st.booleans()):
            length = draw(st.integers(1, 1000))
            frames.append((place, length, None))
        else:
            length = draw(st.integers(1, chunk))
            seed = draw(st.integers(0, 9))
            data = random.Random(seed).randbytes(length) if seed < 5 else bytes([seed]) * length
            frames.append((place, length, data))
        place += length
    return place + draw(st.integers(0, 9)), chunk, draw(st.permutations(frames))


@given(disks(), st.dictionaries(text, json_values, max_size=4))
def test_round_trip(
    disk: tuple[int, int, list[tuple[int, int, Optional[bytes]]]], extra: dict[str, Any]
) -> None:
    capacity, chunk, frames = disk
    header = {**extra, "capacity": capacity, "chunk": chunk}
    data = samples.segment(header, frames)
    reader = SegmentReader(io.BytesIO(data))
    found = [
        (frame.offset, frame.length, None if raw is None else bytes(raw)) for frame, raw in reader
    ]
    assert found == frames
    assert reader.header == header
    assert reader.totals is not None
    assert reader.totals.frames == len(frames)
    assert reader.totals.data_bytes == sum(n for _, n, raw in frames if raw is not None)
    assert reader.totals.zero_bytes == sum(n for _, n, raw in frames if raw is None)
    assert reader.position == len(data)


class Drip(io.RawIOBase):
    """A sink and source that takes and gives a few bytes a call, as a pipe may."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def write(self, data: Any, /) -> int:
        self.data += data[:3]
        return min(3, len(data))

    def readinto(self, part: Any, /) -> int:
        count = min(5, len(part), len(self.data))
        part[:count] = self.data[:count]
        del self.data[:count]
        return count


class OnlyRead:
    """A source without readinto."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 11))


def test_sources_and_sinks_that_take_a_few_bytes() -> None:
    whole = samples.small()
    sink = Drip()
    writer = SegmentWriter(sink, samples.HEADER)
    for frame, raw in SegmentReader(io.BytesIO(whole)):
        if raw is None:
            writer.zero(frame.offset, frame.length)
        else:
            writer.data(frame.offset, raw)
    writer.finish()
    assert bytes(sink.data) == whole
    expected = verify(io.BytesIO(whole))
    assert verify(Drip(whole)) == verify(OnlyRead(whole)) == expected
    assert expected.stream_bytes == len(whole)


def test_size_is_known_from_the_totals() -> None:
    whole = samples.small()
    header, _, _ = samples.parts(whole)
    found = verify(io.BytesIO(whole))
    size = layout.stream_size(
        len(header) - layout.PREAMBLE.size, found.totals.frames, found.totals.stored_bytes
    )
    assert size == len(whole)


def test_incompressible_and_uncompressed_data_is_stored() -> None:
    noise = random.Random(1).randbytes(200)
    cases: list[tuple[bytes, layout.Compression, int]] = [
        (noise, "lz4", layout.STORED),
        (b"x" * 200, "lz4", layout.LZ4),
        (b"x" * 200, "none", layout.STORED),
    ]
    for data, compression, kind in cases:
        sink = io.BytesIO()
        writer = SegmentWriter(sink, samples.HEADER)
        writer.data(0, data, compression)
        writer.finish()
        sink.seek(0)
        [(frame, raw)] = list(SegmentReader(sink))
        assert (frame.kind, raw) == (kind, data)


@pytest.mark.parametrize(
    "frames",
    [
        [(0, 10, b"0123456789"), (9, 1, b"x")],
        [(100, 10, None), (90, 11, None)],
        [(4090, 7, None)],
        [(0, 257, b"x" * 257)],
        [(0, 0, None)],
    ],
)
def test_writer_refuses_what_a_reader_would(
    frames: Sequence[tuple[int, int, Optional[bytes]]],
) -> None:
    with pytest.raises(ValueError):
        samples.segment(samples.HEADER, frames)


def test_a_frame_may_not_come_later_than_the_window() -> None:
    """The window of the format: 4095 frames may overtake one, not 4096."""
    header = {"capacity": 1 << 20, "chunk": 1}
    later = [(offset, 1, None) for offset in range(2, 2 * layout.WINDOW, 2)]
    samples.segment(header, [*later, (0, 1, None)])
    with pytest.raises(CoverageError):
        samples.segment(header, [*later, (2 * layout.WINDOW, 1, None), (0, 1, None)])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(1, 9)), max_size=20), st.integers(1, 6))
def test_coverage_against_a_model(frames: list[tuple[int, int]], window: int) -> None:
    coverage = Coverage(window)
    accepted: list[tuple[int, int]] = []
    for offset, length in frames:
        recent = accepted[-(window - 1) :] if window > 1 else []
        older = accepted[: len(accepted) - len(recent)]
        fits = all(offset >= o + n for o, n in older) and all(
            offset + length <= o or offset >= o + n for o, n in recent
        )
        try:
            coverage.add(offset, length)
        except CoverageError:
            assert not fits
        else:
            assert fits
            accepted.append((offset, length))


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"capacity": 1},
        {"capacity": -1, "chunk": 1},
        {"capacity": 1 << 63, "chunk": 1},
        {"capacity": 1, "chunk": 0},
        {"capacity": 1, "chunk": layout.MAX_CHUNK + 1},
        {"capacity": True, "chunk": 1},
        {"capacity": "1", "chunk": 1},
        {"capacity": 1, "chunk": 1, "x": float("nan")},
        {"capacity": 1, "chunk": 1, "x": "x" * layout.MAX_HEADER},
    ],
)
def test_writer_refuses_a_bad_header(header: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SegmentWriter(io.BytesIO(), header)
