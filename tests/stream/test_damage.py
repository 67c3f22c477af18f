# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Every damage is found, and found before the data of a damaged frame is given out."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Iterator
from typing import Any, Optional

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from bareos_vmsnap.stream import errors, frame, layout
from bareos_vmsnap.stream.frame import Frame, Totals
from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.stream.verify import verify

from . import samples

WHOLE = samples.small()
GOOD = [(f, None if raw is None else bytes(raw)) for f, raw in SegmentReader(io.BytesIO(WHOLE))]


def read(data: bytes) -> Iterator[tuple[Frame, Optional[bytes]]]:
    for found, raw in SegmentReader(io.BytesIO(data)):
        yield found, None if raw is None else bytes(raw)


def assert_damaged(data: bytes) -> errors.SegmentDamagedError:
    """Read damaged data to its error; what came out before is what was written."""
    expected = iter(GOOD)
    with pytest.raises(errors.SegmentDamagedError) as caught:
        for given_out in read(data):
            assert given_out == next(expected)
    assert 0 <= caught.value.position <= len(data)
    assert str(caught.value.position) in str(caught.value)
    return caught.value


def test_every_bit_flip_is_found() -> None:
    for place in range(len(WHOLE)):
        for bit in range(8):
            damaged = bytearray(WHOLE)
            damaged[place] ^= 1 << bit
            assert_damaged(bytes(damaged))


def test_every_truncation_is_found() -> None:
    for length in range(len(WHOLE)):
        assert isinstance(assert_damaged(WHOLE[:length]), errors.TruncatedError)


def test_every_swap_removal_and_repetition_of_frames_is_found() -> None:
    header, frames, trailer = samples.parts(WHOLE)
    assert header + b"".join(frames) + trailer == WHOLE
    count = len(frames)
    variants = []
    for one in range(count):
        variants.append(frames[:one] + frames[one + 1 :])
        for other in range(count + 1):
            variants.append(frames[:other] + [frames[one]] + frames[other:])
        for other in range(one + 1, count):
            swapped = list(frames)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            variants.append(swapped)
    for variant in variants:
        found = assert_damaged(header + b"".join(variant) + trailer)
        assert isinstance(found, (errors.FrameOutOfSequenceError, errors.TrailerDamagedError))


@settings(max_examples=200)
@given(st.integers(0, len(WHOLE)), st.integers(0, 80), st.binary(max_size=80))
def test_splices_are_found(place: int, removed: int, inserted: bytes) -> None:
    damaged = WHOLE[:place] + inserted + WHOLE[place + removed :]
    if damaged != WHOLE:
        assert_damaged(damaged)


def test_frames_of_another_segment_are_found() -> None:
    """Header, frames and trailer are bound to each other by the digest."""
    header, frames, trailer = samples.parts(WHOLE)
    other_header, _, _ = samples.parts(samples.segment({**samples.HEADER, "vm": "two"}, []))
    found = assert_damaged(other_header + b"".join(frames) + trailer)
    assert isinstance(found, errors.TrailerDamagedError)
    assert "digest" in str(found)


@pytest.mark.parametrize("garbage", [b"\0", b"\0" * 512, WHOLE])
def test_data_after_the_trailer_is_found(garbage: bytes) -> None:
    assert isinstance(assert_damaged(WHOLE + garbage), errors.TrailingGarbageError)


def test_a_newer_version_is_distinguished_from_damage() -> None:
    newer = header_of(json.dumps(samples.HEADER).encode(), version=2)
    with pytest.raises(errors.SegmentTooNewError, match="version 2"):
        verify(io.BytesIO(newer))
    unsealed = bytearray(newer)
    unsealed[-1] ^= 1
    with pytest.raises(errors.HeaderDamagedError):
        verify(io.BytesIO(bytes(unsealed)))


def test_anything_else_is_not_a_segment() -> None:
    with pytest.raises(errors.NotASegmentError):
        verify(io.BytesIO(b"QFI\xfb" + bytes(512)))


def header_of(text: bytes, version: int = 1, flags: int = 0) -> bytes:
    """Return a header with a right check, whatever is in it."""
    preamble = layout.PREAMBLE.pack(layout.MAGIC, version, flags, len(text), 0)
    check = xxhash.xxh3_64_intdigest(preamble[:-8] + text)
    return preamble[:-8] + struct.pack("<Q", check) + text


@pytest.mark.parametrize(
    "header",
    [
        header_of(b"[]"),
        header_of(b"{"),
        header_of(b"\xff\xfe"),
        header_of(b"[" * 100_000),
        header_of(b'{"chunk":1}'),
        header_of(b'{"capacity":1,"chunk":1e3}'),
        header_of(b'{"capacity":1,"chunk":%d}' % (layout.MAX_CHUNK + 1)),
        header_of(b'{"capacity":1,"chunk":1}', version=0),
        header_of(b'{"capacity":1,"chunk":1}', flags=1),
        layout.PREAMBLE.pack(layout.MAGIC, 1, 0, layout.MAX_HEADER + 1, 0),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(header: bytes) -> None:
    with pytest.raises(errors.HeaderDamagedError):
        verify(io.BytesIO(header))


def crafted(*frames: tuple[Frame, bytes]) -> bytes:
    """Return the start of a segment with these frames, their checks right."""
    header = header_of(json.dumps(samples.HEADER).encode())
    return header + b"".join(frame.pack_frame(head) + data for head, data in frames)


def head(**changed: Any) -> Frame:
    return Frame(layout.ZERO, 0, 0, 512, 0, 0, 0)._replace(**changed)


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (head(kind=0), errors.FrameDamagedError),
        (head(kind=4), errors.FrameDamagedError),
        (head(length=0), errors.FrameDamagedError),
        (head(raw_sum=1), errors.FrameDamagedError),
        (head(stored_length=1), errors.FrameDamagedError),
        (head(kind=layout.STORED, length=8, stored_length=7), errors.FrameDamagedError),
        (head(kind=layout.STORED, length=8, stored_length=8, raw_sum=1), errors.FrameDamagedError),
        (head(kind=layout.LZ4, length=8, stored_length=8), errors.FrameDamagedError),
        (head(kind=layout.LZ4, length=8, stored_length=0), errors.FrameDamagedError),
        (head(kind=layout.LZ4, length=257, stored_length=8), errors.FrameOutOfBoundsError),
        (
            head(kind=layout.STORED, length=1 << 30, stored_length=1 << 30),
            errors.FrameOutOfBoundsError,
        ),
        (head(offset=4096, length=1), errors.FrameOutOfBoundsError),
        (head(length=4097), errors.FrameOutOfBoundsError),
        (head(offset=(1 << 64) - 1, length=(1 << 64) - 1), errors.FrameOutOfBoundsError),
        (head(sequence=1), errors.FrameOutOfSequenceError),
    ],
)
def test_a_frame_that_breaks_a_rule_is_refused(found: Frame, error: type[Exception]) -> None:
    with pytest.raises(error):
        verify(io.BytesIO(crafted((found, bytes(min(found.stored_length, 512))))))


def test_frames_that_overlap_are_refused() -> None:
    data = crafted((head(), b""), (head(sequence=1, offset=511), b""))
    with pytest.raises(errors.FrameOverlapError):
        verify(io.BytesIO(data))


@pytest.mark.parametrize(
    "stored",
    [b"\x11a" * 3, b"\x80abcdefgh", b"\xf0" + b"\xff" * 20, random.Random(2).randbytes(30)],
)
def test_a_payload_that_does_not_decompress_to_what_was_summed_is_refused(stored: bytes) -> None:
    found = head(
        kind=layout.LZ4,
        length=100,
        stored_length=len(stored),
        raw_sum=1,
        stored_sum=xxhash.xxh3_64_intdigest(stored),
    )
    with pytest.raises(errors.PayloadDamagedError):
        verify(io.BytesIO(crafted((found, stored))))


def test_a_trailer_that_does_not_add_up_is_refused() -> None:
    header, frames, _ = samples.parts(WHOLE)
    right = verify(io.BytesIO(WHOLE)).totals
    for wrong in (
        right._replace(frames=right.frames + 1),
        right._replace(data_bytes=0),
        right._replace(zero_bytes=1),
        right._replace(stored_bytes=1),
        right._replace(digest=bytes(16)),
        Totals(0, 0, 0, 0, bytes(16)),
    ):
        found = assert_damaged(header + b"".join(frames) + frame.pack_trailer(wrong))
        assert isinstance(found, errors.TrailerDamagedError)


@pytest.mark.parametrize("place", [4, 7])
def test_reserved_bytes_of_the_trailer_must_be_zero(place: int) -> None:
    header, frames, trailer = samples.parts(WHOLE)
    record = bytearray(trailer[:-8])
    record[place] = 1
    sealed = bytes(record) + struct.pack("<Q", xxhash.xxh3_64_intdigest(bytes(record)))
    with pytest.raises(errors.TrailerDamagedError, match="reserved"):
        verify(io.BytesIO(header + b"".join(frames) + sealed))


@pytest.mark.parametrize("place", [5, 6, 7, 36, 39])
def test_reserved_bytes_of_a_frame_must_be_zero(place: int) -> None:
    record = bytearray(frame.pack_frame(head())[:-8])
    record[place] = 1
    sealed = bytes(record) + struct.pack("<Q", xxhash.xxh3_64_intdigest(bytes(record)))
    with pytest.raises(errors.FrameDamagedError, match="reserved"):
        verify(io.BytesIO(header_of(json.dumps(samples.HEADER).encode()) + sealed))
