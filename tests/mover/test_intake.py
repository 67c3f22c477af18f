# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Frames taken from a channel several at a time."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bareos_vmsnap.mover.child.intake import BATCH, Intake
from bareos_vmsnap.stream import layout
from tests.stream.segment_writer import SegmentWriter

from .harness import KIB

CHUNK = 64 * KIB


@contextmanager
def intake_of(lengths: Sequence[int]) -> Iterator[tuple[Intake, list[bytes]]]:
    """Frames of these lengths, zeros if negative, as they come through a pipe."""
    source = random.Random(5)
    parts = [bytes(-n) if n < 0 else source.randbytes(n) for n in lengths]
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as sink:
            header = {"node": "n1", "capacity": sum(map(len, parts)), "chunk": CHUNK}
            writer = SegmentWriter(sink, header)
            place = 0
            for length, part in zip(lengths, parts):
                if length < 0:
                    writer.zero(place, len(part))
                else:
                    writer.data(place, part)
                place += len(part)
            writer.finish()

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield Intake(reading), parts
    finally:
        os.close(reading)
        thread.join()


def taken_in_turns(lengths: Sequence[int]) -> list[int]:
    """How many frames came in each turn; all of them with the right bytes."""
    counts: list[int] = []
    with intake_of(lengths) as (intake, parts):
        left = iter(parts)
        buffer = memoryview(bytearray(CHUNK))
        while True:
            taken = intake.take(buffer)
            if not taken:
                break
            # Only once all are there: none may lie where another one came later.
            for each in taken:
                part = next(left)
                if each.frame.kind == layout.ZERO:
                    assert not any(part) and len(part) == each.frame.length
                else:
                    assert bytes(each.unpack()) == part
            counts.append(len(taken))
        totals, _ = intake.totals()
        assert totals.frames == sum(counts) == len(parts)
        assert not intake.take(buffer)
    return counts


def test_whole_chunks_come_alone() -> None:
    assert taken_in_turns([CHUNK] * 3) == [1, 1, 1]


def test_small_frames_come_together() -> None:
    assert taken_in_turns([512] * (2 * BATCH + 3)) == [BATCH, BATCH, 3]


def test_together_they_are_a_chunk_at_most() -> None:
    third = CHUNK // 4 + 512
    assert taken_in_turns([third] * 7) == [3, 3, 1]
    assert taken_in_turns([CHUNK // 2, CHUNK, 512, CHUNK]) == [1, 1, 1, 1]
    assert taken_in_turns([CHUNK // 2] * 4) == [2, 2]


def test_zeros_take_no_room() -> None:
    assert taken_in_turns([-(1 << 30), CHUNK, -512, CHUNK - 512, 512, -512]) == [2, 3, 1]


def test_no_frame_at_all(tmp_path: Path) -> None:
    assert taken_in_turns([]) == []
