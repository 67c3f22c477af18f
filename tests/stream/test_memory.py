# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory is bounded whatever a stream claims."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from bareos_vmsnap.stream import errors, frame, layout
from bareos_vmsnap.stream.builder import SegmentBuilder
from bareos_vmsnap.stream.frame import Frame
from bareos_vmsnap.stream.verify import verify

from .test_damage import header_of


def peak_of_verifying(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(errors.SegmentDamagedError):
            verify(io.BytesIO(data))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_claims_do_not_allocate() -> None:
    largest = {"capacity": layout.MAX_CAPACITY, "chunk": layout.MAX_CHUNK}
    header = header_of(json.dumps(largest).encode())
    claim = Frame(layout.LZ4, 0, 0, layout.MAX_CHUNK, layout.MAX_CHUNK - 1, 0, 0)
    assert peak_of_verifying(header + frame.pack_frame(claim)) < layout.MAX_CHUNK + (1 << 20)
    huge = claim._replace(length=1 << 40, stored_length=(1 << 32) - 1)
    assert peak_of_verifying(header + frame.pack_frame(huge)) < 1 << 20
    longest = layout.PREAMBLE.pack(layout.MAGIC, 1, 0, (1 << 32) - 1, 0)
    assert peak_of_verifying(longest) < 1 << 20


def test_many_frames_do_not_add_up() -> None:
    builder = SegmentBuilder({"capacity": layout.MAX_CAPACITY, "chunk": 1})
    frames = [builder.zero(number * 1024, 512) for number in range(3 * layout.WINDOW)]
    data = builder.header + b"".join(frames)
    assert peak_of_verifying(data) < 2 << 20
