# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Memory lent to a pipe: what the reader gets, and when the memory is free again."""

from __future__ import annotations

import os
import random
import socket
import threading
from functools import partial
from pathlib import Path

import pytest

from bareos_vmsnap.mover.splicing import PipeWriter

LARGE = 300_000


def test_the_reader_gets_what_was_written_though_memory_is_used_again() -> None:
    """As the workers do: a buffer is filled anew as soon as it was released, not before."""
    reader, descriptor = os.pipe()
    dice = random.Random(5)
    free = [bytearray(LARGE) for _ in range(8)]
    got, sent = bytearray(), bytearray()

    def read() -> None:
        while data := os.read(reader, dice.choice([1, 700, 65536, 262144])):
            got.extend(data)

    thread = threading.Thread(target=read)
    thread.start()
    writer = PipeWriter(descriptor)
    for number in range(60):
        buffer = free.pop() if free else bytearray(LARGE)
        length = dice.choice([1, 5000, 65536, LARGE])
        buffer[:] = bytes([number]) * LARGE
        head = bytes([255 - number]) * 64
        sent += head + buffer[:length]
        writer.write([head, memoryview(buffer)[:length]], partial(free.append, buffer))
    os.close(descriptor)
    thread.join()
    os.close(reader)
    assert got == sent
    assert len(free) < 20, "released buffers were not used again"


def test_nothing_is_released_before_it_was_read() -> None:
    reader, descriptor = os.pipe()
    released: list[str] = []
    writer = PipeWriter(descriptor)
    writer.write([b"a" * 20_000], lambda: released.append("a"))
    writer.write([b"b" * 20_000], lambda: released.append("b"))
    assert released == []
    os.read(reader, 19_999)
    writer.write([b"c"])
    assert released == []
    os.read(reader, 1)
    writer.write([b"d"])
    assert released == ["a"]
    os.read(reader, 30_000)
    writer.write([b"e"])
    assert released == ["a", "b"]
    os.close(reader)
    os.close(descriptor)


def test_bytes_nobody_else_refers_to_stay_until_they_are_read() -> None:
    reader, descriptor = os.pipe()
    writer = PipeWriter(descriptor)
    for number in range(2):
        writer.write([bytes([number]) * 20_000])
    del writer
    os.close(descriptor)
    rubbish = [bytes([7]) * 20_000 for _ in range(50)]
    assert os.read(reader, 40_000) == bytes(20_000) + b"\1" * 20_000
    assert rubbish
    os.close(reader)


@pytest.mark.parametrize("kind", ["file", "socket"])
def test_what_is_no_pipe_gets_copies(kind: str, tmp_path: Path) -> None:
    released: list[int] = []
    data = os.urandom(LARGE // 10)
    if kind == "file":
        with (tmp_path / "out").open("wb") as out:
            PipeWriter(out.fileno()).write([b"head", data], lambda: released.append(1))
        assert (tmp_path / "out").read_bytes() == b"head" + data
    else:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            PipeWriter(ours.fileno()).write([b"head", data], lambda: released.append(1))
            assert theirs.recv(LARGE, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"head" + data
    assert released == [1]


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_reader_that_went_away(size: int) -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        PipeWriter(descriptor).write([bytes(size)])
    os.close(descriptor)
