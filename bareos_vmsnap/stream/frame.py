# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Frame head and trailer as values, and their rules."""

from __future__ import annotations

from typing import NamedTuple, Optional

import xxhash

from bareos_vmsnap.stream import layout


class Frame(NamedTuple):
    """One frame head. `length` is raw bytes on the disk, `stored_length` the bytes that follow."""

    kind: int
    sequence: int
    offset: int
    length: int
    stored_length: int
    raw_sum: int
    stored_sum: int


class Totals(NamedTuple):
    """What a whole segment holds. Bytes are raw, except `stored_bytes`; `digest` is 16 bytes."""

    frames: int
    data_bytes: int
    zero_bytes: int
    stored_bytes: int
    digest: bytes


def pack_frame(frame: Frame) -> bytes:
    """Return the 64 bytes of a frame head."""
    kind, sequence, offset, length, stored_length, raw_sum, stored_sum = frame
    record = layout.FRAME.pack(
        layout.FRAME_MARK, kind, b"\0\0\0", sequence, offset, length, stored_length, b"\0\0\0\0",
        raw_sum, stored_sum, 0,
    )  # fmt: skip
    return _sealed(record)


def pack_trailer(totals: Totals) -> bytes:
    """Return the 64 bytes of a trailer."""
    return _sealed(layout.TRAILER.pack(layout.TRAILER_MARK, b"\0\0\0\0", *totals, 0))


def is_trailer(record: bytes) -> bool:
    """Return whether a record is a trailer; if not, it is treated as a frame head."""
    return record.startswith(layout.TRAILER_MARK)


def unpack_frame(record: bytes) -> tuple[Frame, Optional[str]]:
    """Return the frame in a record and the problem if it breaks a rule."""
    (
        mark, kind, zeros, sequence, offset, length, stored_length, more_zeros,
        raw_sum, stored_sum, _,
    ) = layout.FRAME.unpack(record)  # fmt: skip
    frame = Frame(kind, sequence, offset, length, stored_length, raw_sum, stored_sum)
    if mark != layout.FRAME_MARK:
        return frame, f"neither a frame nor the trailer starts with {bytes(mark)!r}"
    if not _is_sealed(record):
        return frame, "frame head does not match its check"
    if any(zeros) or any(more_zeros):
        return frame, "reserved bytes of the frame head are not zero"
    return frame, _broken_rule(frame)


def unpack_trailer(record: bytes) -> tuple[Totals, Optional[str]]:
    """Return the totals in a trailer record and the problem if it breaks a rule."""
    _, zeros, *fields, _ = layout.TRAILER.unpack(record)
    totals = Totals(*fields)
    if not _is_sealed(record):
        return totals, "trailer does not match its check"
    if any(zeros):
        return totals, "reserved bytes of the trailer are not zero"
    return totals, None


def check_of(record: bytes) -> bytes:
    """Return the 8 bytes of a frame head that go into the digest."""
    return record[-layout.CHECK.size :]


def _broken_rule(frame: Frame) -> Optional[str]:
    if frame.length < 1:
        return "frame without length"
    if frame.kind == layout.ZERO:
        if frame.stored_length or frame.raw_sum or frame.stored_sum:
            return "zero frame with a payload or checksums"
    elif frame.kind == layout.STORED:
        if frame.stored_length != frame.length or frame.stored_sum != frame.raw_sum:
            return "stored frame whose stored length or checksum differs from the raw one"
    elif frame.kind == layout.LZ4:
        if not 1 <= frame.stored_length < frame.length:
            return f"lz4 frame of {frame.stored_length} bytes for {frame.length} raw bytes"
    else:
        return f"frame of unknown kind {frame.kind}"
    return None


def _sealed(record: bytes) -> bytes:
    fields = record[: -layout.CHECK.size]
    return fields + layout.CHECK.pack(xxhash.xxh3_64_intdigest(fields))


def _is_sealed(record: bytes) -> bool:
    return _sealed(record) == record
