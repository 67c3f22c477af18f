# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Pure parts of the mover against models."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap.mover.child import operations, plan_intake
from bareos_vmsnap.mover.child.dispatcher import AHEAD, BATCH_PIECES, Batch, Dispatcher, Piece
from bareos_vmsnap.mover.child.errors import AccountingError
from bareos_vmsnap.mover.child.memory import Buffer
from bareos_vmsnap.mover.child.record_spool import RecordSpool
from bareos_vmsnap.mover.child.reporter import Reporter
from bareos_vmsnap.mover.child.segment_channel import Part, SegmentChannel
from bareos_vmsnap.mover.child.selection import Different
from bareos_vmsnap.mover.child.worker_threads import WorkerThreads
from bareos_vmsnap.mover.child.zeros import MAX_AGE, MAX_RUNS, ZeroRuns
from bareos_vmsnap.stream import layout, payload
from bareos_vmsnap.stream.errors import TruncatedError
from bareos_vmsnap.stream.verify import verify


@given(st.permutations(list(range(30))), st.sets(st.integers(0, 29), max_size=8))
def test_zero_runs_keep_the_bytes(order: list[int], missing: set[int]) -> None:
    runs = ZeroRuns()
    for number in order:
        if number not in missing:
            runs.add(number * 10, 10, 0)
    found = list(runs.rest())
    assert found == sorted(found)
    covered = {place // 10 for start, length in found for place in range(start, start + length, 10)}
    assert covered == set(range(30)) - missing
    assert all(a[0] + a[1] < b[0] for a, b in zip(found, found[1:]))
    assert list(runs.rest()) == []


def test_zero_runs_do_not_wait_for_ever() -> None:
    runs = ZeroRuns()
    runs.add(0, 10, 5)
    runs.add(10, 10, 5 + MAX_AGE - 1)
    assert list(runs.due(5 + MAX_AGE - 1)) == []
    assert list(runs.due(5 + MAX_AGE)) == [(0, 20)]
    for number in range(MAX_RUNS + 2):
        runs.add(number * 100, 10, 0)
    assert list(runs.due(0)) == [(0, 10), (100, 10)]


def dispatched(pieces: list[Piece], size: int = 1000) -> Dispatcher:
    return Dispatcher(iter(pieces), size, granule=size)


def test_batches_fill_a_buffer() -> None:
    pieces = [Piece(0, 600, True), Piece(1000, 400, True), Piece(2000, 1, True)]
    pieces += [Piece(3000, 1 << 40, False)] + [Piece((4 << 40) + n, 1, True) for n in range(40)]
    dispatcher = dispatched(pieces)
    batches = []
    while True:
        batch = dispatcher.take(wait=True)
        if batch is None:
            break
        batches.append(batch)
        dispatcher.done(batch)
    assert [piece for batch in batches for piece in batch.pieces] == pieces
    assert [len(batch.pieces) for batch in batches] == [2, BATCH_PIECES, 10]
    assert dispatcher.done_bytes == sum(piece.length for piece in pieces)


def test_a_batch_that_stays_behind_holds_the_others_back() -> None:
    dispatcher = dispatched([Piece(n * 1000, 1000, True) for n in range(3 * AHEAD)])
    oldest = dispatcher.take(wait=False)
    assert oldest is not None
    later = list(iter(lambda: dispatcher.take(wait=False), None))
    assert len(later) == AHEAD - 1
    for batch in later:
        dispatcher.done(batch)
    assert dispatcher.take(wait=False) is None
    taken: list[Optional[Batch]] = []
    thread = threading.Thread(target=lambda: taken.append(dispatcher.take(wait=True)))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    dispatcher.done(oldest)
    thread.join(60)
    assert taken and taken[0] is not None
    assert taken[0].pieces[0].offset == AHEAD * 1000


def test_stopping_wakes_who_waits() -> None:
    dispatcher = dispatched([Piece(n * 1000, 1000, True) for n in range(3 * AHEAD)])
    for _ in range(AHEAD):
        assert dispatcher.take(wait=False)
    taken: list[Optional[Batch]] = []
    thread = threading.Thread(target=lambda: taken.append(dispatcher.take(wait=True)))
    thread.start()
    dispatcher.stop()
    thread.join(60)
    assert taken == [None]


def test_workers_out_of_step_stay_in_the_window(tmp_path: object) -> None:
    """As far apart as the dispatcher lets threads get: the format's order is kept."""
    count = 4 * layout.WINDOW
    pieces = [Piece(n * 512, 512, True) for n in range(count)]
    dispatcher = Dispatcher(iter(pieces), 512, granule=512)
    descriptor = os.memfd_create("segment")
    segment = SegmentChannel(descriptor, {"capacity": count * 512, "chunk": 512})
    source = random.Random(3)
    under_way: list[Batch] = []
    while True:
        batch = dispatcher.take(wait=not under_way)
        if batch is not None:
            under_way.append(batch)
            continue
        if not under_way:
            break
        # All but the oldest first; what is zero waits for its neighbours besides.
        for batch in [*reversed(under_way[1:]), under_way[0]]:
            [piece] = batch.pieces
            packed = None if source.random() < 0.3 else payload.pack(source.randbytes(512))
            segment.write([Part(piece.offset, piece.length, packed)])
            dispatcher.done(batch)
        under_way.clear()
    totals, size = segment.finish()
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        found = verify(file)
    assert found.totals == totals
    assert found.stream_bytes == size
    assert totals.data_bytes + totals.zero_bytes == count * 512


@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_a_segment_is_whole_though_its_reader_takes_little_at_a_time(kind: str) -> None:
    """More pieces than one call takes, and calls that signals cut short."""
    reading, writing = os.pipe()
    if kind == "socket":
        os.close(reading)
        os.close(writing)
        reading, writing = (end.detach() for end in socket.socketpair())
    dice, got = random.Random(5), bytearray()

    def read() -> None:
        while data := os.read(reading, dice.choice([1, 700, 65536])):
            got.extend(data)

    thread = threading.Thread(target=read)
    thread.start()
    count, chunk = 3000, 4096
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        segment = SegmentChannel(writing, {"capacity": count * chunk, "chunk": chunk})
        packed = [payload.pack(dice.randbytes(chunk)) for _ in range(count)]
        segment.write(Part(n * chunk, chunk, each) for n, each in enumerate(packed))
        totals, size = segment.finish(count * chunk)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(writing)
        thread.join()
        os.close(reading)
    found = verify(io.BytesIO(got))
    assert (found.totals, found.stream_bytes) == (totals, size)


def test_a_segment_that_misses_something_gets_no_trailer() -> None:
    descriptor = os.memfd_create("segment")
    segment = SegmentChannel(descriptor, {"capacity": 4096, "chunk": 512})
    segment.write([Part(0, 512, None), Part(512, 512, payload.pack(b"x" * 512))])
    with pytest.raises(AccountingError):
        segment.finish(4096)
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        with pytest.raises(TruncatedError):
            verify(file)


@given(
    st.lists(st.sampled_from(["same", "zero", "data", "both zero"]), max_size=9), st.integers(1, 16)
)
def test_different_granules(states: list[str], tail: int) -> None:
    granularity = 16
    source, base = Buffer(256), Buffer(256)
    place, expected = 32, []
    length = 0
    for number, state in enumerate(states):
        size = tail if number == len(states) - 1 else granularity
        view = slice(place + length, place + length + size)
        old = random.Random(number).randbytes(size - 1) + b"x"
        base.view[view] = bytes(size) if state == "both zero" else old
        source.view[view] = {"same": old, "data": b"y" * size}.get(state, bytes(size))
        if state in ("zero", "data"):
            expected.append((1000 + length, size, state))
        length += size
    if not length:
        return
    selection = Different(lambda raw: payload.pack(bytes(raw)), granularity)
    found = list(selection.parts(Piece(1000, length, True), [source, base], place))
    granules: list[tuple[int, int, str]] = []
    for offset, size, packed in found:
        for start in range(offset, offset + size, granularity):
            part = min(granularity, offset + size - start)
            granules.append((start, part, "zero" if packed is None else "data"))
        if packed is not None:
            raw = bytes(payload.unpack(packed))
            assert raw == bytes(source.view[place + offset - 1000 : place + offset - 1000 + size])
    assert granules == expected
    assert len(found) <= len(expected)


def test_buffers_compare_to_the_last_byte() -> None:
    one, other = Buffer(1000), Buffer(1000)
    for place in (10, 11, 500, 509):
        assert one.is_zero(10, 500) and one.equals(other, 10, 500)
        one.view[place] = 1
        assert not one.is_zero(10, 500)
        assert not one.equals(other, 10, 500)
        one.view[place] = 0
    one.view[9] = one.view[510] = 1
    assert one.is_zero(10, 500) and one.equals(other, 10, 500)
    assert one.is_zero(10, 1)


def test_spool_is_read_as_often_as_needed() -> None:
    spool = RecordSpool(struct.Struct("<QQ"))
    records = [(number, number * 3) for number in range(300_000)]
    spool.extend(records)
    assert list(spool) == records
    spool.append(1, 2)
    one, other = iter(spool), iter(spool)
    assert [next(one), next(other), next(one)] == [(0, 0), (0, 0), (1, 3)]
    assert list(spool)[-1] == (1, 2)


def test_the_first_failure_is_raised_at_once() -> None:
    release = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    def hang() -> None:
        release.wait(30)

    ticks: Iterator[int] = iter(range(1000))
    with pytest.raises(ZeroDivisionError):
        WorkerThreads([hang, fail, hang]).wait(0.01, lambda: None)
    workers = WorkerThreads([hang, hang])

    def tick() -> None:
        if next(ticks) == 3:
            release.set()

    workers.wait(0.01, tick)
    assert next(ticks) >= 4


@pytest.mark.parametrize(
    ("error", "beginning", "id"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/x"),
            "No space left on device: /tmp/x. What to do: Make room there",
            "disk-full",
        ),
        (AccountingError("two bytes are missing"), "two bytes are missing", "mover-accounting"),
        (BrokenPipeError(), "the segment's reader went away before its end", "reader-gone"),
        (KeyError("x"), "Unexpected KeyError: 'x' (at ", "unexpected"),
    ],
)
def test_what_the_system_refused_is_reported_in_words_for_an_admin(
    monkeypatch: pytest.MonkeyPatch, error: Exception, beginning: str, id: str
) -> None:
    def fail(pipe: int) -> None:
        raise error

    monkeypatch.setattr(plan_intake, "receive", fail)
    reading, writing = os.pipe()
    assert operations.run(-1, -1, Reporter(writing)) == 1
    os.close(writing)
    with open(reading, "rb") as lines:
        report = json.loads(lines.read())
    assert (report["id"], report["message"].startswith(beginning)) == (id, True), report
