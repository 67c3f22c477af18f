# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The header: a preamble and JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import xxhash

from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.errors import HeaderDamagedError, NotASegmentError, SegmentTooNewError


def pack(header: Mapping[str, Any]) -> bytes:
    """Return the preamble and JSON text of a header.

    The container needs `capacity` and `chunk` (bytes) in it; the rest is up to the caller.
    Raises ValueError if the header breaks the format's limits, TypeError if it is not JSON.
    """
    problem = _problem(header)
    if problem:
        raise ValueError(problem)
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > layout.MAX_HEADER:
        raise ValueError(f"header of {len(text)} bytes, at most {layout.MAX_HEADER} are allowed")
    preamble = layout.PREAMBLE.pack(layout.MAGIC, layout.VERSION, 0, len(text), 0)
    fields = preamble[: -layout.CHECK.size]
    return fields + layout.CHECK.pack(xxhash.xxh3_64_intdigest(fields + text)) + text


def text_length(preamble: bytes) -> int:
    """Return the length in bytes of the JSON text that follows a preamble."""
    magic, _, _, length, _ = layout.PREAMBLE.unpack(preamble)
    if magic != layout.MAGIC:
        raise NotASegmentError(0, f"starts with {magic!r}, a segment starts with {layout.MAGIC!r}")
    if length > layout.MAX_HEADER:
        raise HeaderDamagedError(
            12, f"header of {length} bytes, at most {layout.MAX_HEADER} allowed"
        )
    return int(length)


def unpack(preamble: bytes, text: bytes) -> dict[str, Any]:
    """Return the header, or raise HeaderDamagedError or SegmentTooNewError."""
    _, version, flags, _, check = layout.PREAMBLE.unpack(preamble)
    if xxhash.xxh3_64_intdigest(preamble[: -layout.CHECK.size] + text) != check:
        raise HeaderDamagedError(0, "header does not match its check")
    if version > layout.VERSION:
        raise SegmentTooNewError(version, layout.VERSION)
    if version < 1 or flags != 0:
        raise HeaderDamagedError(8, f"version {version} with flags {flags:#x} was never defined")
    try:
        header = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise HeaderDamagedError(layout.PREAMBLE.size, f"header is not JSON: {error}") from error
    problem = _problem(header)
    if problem:
        raise HeaderDamagedError(layout.PREAMBLE.size, problem)
    return dict(header)


def _problem(header: Any) -> str:
    if not isinstance(header, Mapping):
        return "header is not an object"
    for key, low, high in (
        ("capacity", 0, layout.MAX_CAPACITY),
        ("chunk", 1, layout.MAX_CHUNK),
    ):
        value = header.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return f"header: {key} is {value!r}, expected an integer from {low} to {high}"
    return ""
