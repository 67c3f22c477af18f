# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The data of one frame: compression and checksums, and back."""

from __future__ import annotations

from typing import NamedTuple, Union

import lz4.block
import xxhash

from bareos_vmsnap.stream import layout

Bytes = Union[bytes, bytearray, memoryview]


class Payload(NamedTuple):
    """What a data frame carries: layout.STORED or layout.LZ4, bytes as stored, xxh3_64 sums."""

    kind: int
    data: Bytes
    length: int
    raw_sum: int
    stored_sum: int


class PayloadError(ValueError):
    """Stored bytes do not yield the raw bytes that the frame head describes."""


def pack(
    raw: Bytes, compression: layout.Compression = layout.COMPRESSION, acceleration: int = 1
) -> Payload:
    """Return the payload for raw bytes (at least one), compressed only if that makes them smaller.

    If not, the result refers to `raw`. `acceleration` (from 1) trades ratio for speed.
    """
    raw_sum = xxhash.xxh3_64_intdigest(raw)
    if compression == "lz4":
        data = lz4.block.compress(raw, mode="fast", acceleration=acceleration, store_size=False)
        if len(data) < len(raw):
            return Payload(layout.LZ4, data, len(raw), raw_sum, xxhash.xxh3_64_intdigest(data))
    return Payload(layout.STORED, raw, len(raw), raw_sum, raw_sum)


def unpack(payload: Payload) -> Bytes:
    """Return the raw bytes, checked; the stored bytes themselves if not compressed."""
    if xxhash.xxh3_64_intdigest(payload.data) != payload.stored_sum:
        raise PayloadError("stored data does not match its checksum")
    if payload.kind == layout.STORED:
        return payload.data
    try:
        raw: bytes = lz4.block.decompress(payload.data, uncompressed_size=payload.length)
    except lz4.block.LZ4BlockError as error:
        raise PayloadError(f"data does not decompress: {error}") from error
    if len(raw) != payload.length:
        raise PayloadError(f"data decompresses to {len(raw)} bytes, expected {payload.length}")
    if xxhash.xxh3_64_intdigest(raw) != payload.raw_sum:
        raise PayloadError("decompressed data does not match its checksum")
    return raw
