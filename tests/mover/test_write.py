# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Segments applied to real targets, and refused."""

from __future__ import annotations

import io
import random
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.mover.plan import WritePlan
from tests.stream.segment_writer import SegmentWriter
from tests.tree import headers

from . import harness
from .harness import KIB, MIB

SIZE = 3 * MIB + 7 * 512


def segment_of(content: bytes, dirt: bytes = b"", chunk: int = 256 * KIB, **header: Any) -> bytes:
    """Return a segment that makes `content` of anything, as a single thread would write it."""
    sink = io.BytesIO()
    writer = SegmentWriter(sink, {**header, "capacity": len(content), "chunk": chunk})
    for place in range(0, len(content), chunk):
        part = content[place : place + chunk]
        if any(part):
            writer.data(place, part)
        else:
            writer.zero(place, len(part))
    writer.finish()
    return sink.getvalue()


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """A qcow2 overlay whose base holds data everywhere."""
    base = harness.image(tmp_path, "dirt", b"\x55" * SIZE, "qcow2")
    leaf = tmp_path / "leaf.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(leaf)],
        check=True,
    )
    return leaf


@pytest.mark.parametrize("readback", [False, True])
@pytest.mark.parametrize("more", [{}, {"requests_in_flight": 1}, {"requests_in_flight": 9}])
def test_write_over_data(dirty: Path, readback: bool, more: dict[str, Any]) -> None:
    content = harness.disk(SIZE - 256 * KIB) + bytes(256 * KIB)
    data = segment_of(content)
    plan = harness.write_plan(harness.qcow2(dirty), SIZE, readback=readback, **more)
    report = harness.restore(plan, data)
    assert harness.content_of(dirty) == content
    assert report.stream_bytes == len(data)
    assert report.data_bytes + report.zero_bytes == SIZE
    assert report.zero_bytes > 0


@pytest.mark.parametrize(
    "more",
    [{}, {"requests_in_flight": 1}, {"requests_in_flight": 9}, {"request_size": 64 * KIB}],
)
def test_frames_of_all_sizes_and_kinds(dirty: Path, more: dict[str, Any]) -> None:
    """As changed block tracking gives them: several are taken at once, up to a chunk."""
    chunk, source = 64 * KIB, random.Random(4)
    content, sink = bytearray(b"\x55" * SIZE), io.BytesIO()
    writer = SegmentWriter(sink, {"node": "n1", "capacity": SIZE, "chunk": chunk})
    place, data_bytes, zero_bytes = 0, 0, 0
    while place < SIZE:
        largest = min(source.choice([1, 2, 8, 128]) * 512, SIZE - place)
        length = source.randrange(1, largest // 512 + 1) * 512
        kind = source.randrange(5)
        if kind < 4:
            part = (bytes(length), source.randbytes(length), b"text" * (length // 4))[min(kind, 2)]
            content[place : place + length] = part
            if kind:
                writer.data(place, part)
                data_bytes += length
            else:
                writer.zero(place, length)
                zero_bytes += length
        place += length
    writer.finish()
    plan = harness.write_plan(harness.qcow2(dirty), SIZE, readback=True, **more)
    report = harness.restore(plan, sink.getvalue())
    assert report.frames > 200
    assert (report.data_bytes, report.zero_bytes) == (data_bytes, zero_bytes)
    assert harness.content_of(dirty) == bytes(content)


def test_the_rate_limit_is_kept(dirty: Path) -> None:
    content = harness.disk(SIZE)
    plan = harness.write_plan(harness.qcow2(dirty), SIZE, rate_limit=SIZE)
    began = time.monotonic()
    harness.restore(plan, segment_of(content))
    assert time.monotonic() - began >= 0.45
    assert harness.content_of(dirty) == content


def test_round_trip_of_a_chain(tmp_path: Path) -> None:
    """Root and two deltas, each by another method, one after the other into one image."""
    states = [harness.disk(SIZE, 1)]
    states.append(harness.changed(states[0], 2)[0])
    third, third_extents = harness.changed(states[1], 3)
    states.append(third)
    disks = [
        harness.qcow2(harness.image(tmp_path, f"state{n}", content, "qcow2"))
        for n, content in enumerate(states)
    ]
    target = harness.empty_image(tmp_path, "target", SIZE)
    reports = []
    edges: list[tuple[Method, list[tuple[int, int]]]] = [
        ("allocated", []),
        ("compare", []),
        ("cbt", third_extents),
    ]
    for number, (method, extents) in enumerate(edges):
        base = disks[number - 1] if method == "compare" else None
        plan = harness.read_plan(disks[number], SIZE, method, base=base)
        data, read = harness.backup(plan, extents)
        drop = method == "allocated"
        writing = harness.write_plan(harness.qcow2(target), SIZE, drop_zeros=drop, readback=True)
        written = harness.restore(writing, data)
        assert written.digest == read.digest
        assert harness.content_of(target) == states[number]
        reports.append(read)
    assert reports[1].data_bytes < reports[0].data_bytes
    assert reports[2].data_bytes < reports[0].data_bytes


def test_dropped_zeros_stay_unallocated(tmp_path: Path) -> None:
    target = harness.empty_image(tmp_path, "target", SIZE)
    content = bytes(MIB) + harness.disk(SIZE - MIB)
    plan = harness.write_plan(harness.qcow2(target), SIZE, drop_zeros=True, readback=True)
    report = harness.restore(plan, segment_of(content))
    assert harness.content_of(target) == content
    assert report.zero_bytes >= MIB
    assert target.stat().st_size < SIZE


def test_dropping_zeros_over_data_is_caught_by_readback(dirty: Path) -> None:
    plan = harness.write_plan(harness.qcow2(dirty), SIZE, drop_zeros=True, readback=True)
    with pytest.raises(MoverError, match="does not give back") as caught:
        harness.restore(plan, segment_of(bytes(SIZE)))
    assert caught.value.id == "readback-differs"


def test_a_server_without_write_zeroes_gets_zeros(tmp_path: Path) -> None:
    path = harness.image(tmp_path, "target", b"\x55" * SIZE)
    content = bytes(2 * MIB) + harness.disk(SIZE - 2 * MIB)
    with harness.nbdkit(tmp_path, "--filter=nozero", "file", str(path), "zeromode=none") as target:
        harness.restore(
            harness.write_plan(target, SIZE, request_size=100 * KIB), segment_of(content)
        )
    assert path.read_bytes() == content


def test_one_connection_is_enough(tmp_path: Path) -> None:
    """As with VDDK, where a second writer is refused."""
    path = harness.image(tmp_path, "target", bytes(SIZE))
    content = harness.disk(SIZE)
    with harness.nbdkit(
        tmp_path, "--filter=limit", "--filter=delay", "file", str(path), "limit=1", "wdelay=5ms"
    ) as target:
        harness.restore(harness.write_plan(target, SIZE, readback=True), segment_of(content))
    assert path.read_bytes() == content


def test_a_smaller_disk_fits_a_larger_target(tmp_path: Path) -> None:
    target = harness.empty_image(tmp_path, "target", 2 * SIZE)
    content = harness.disk(SIZE)
    harness.restore(harness.write_plan(harness.qcow2(target), 2 * SIZE), segment_of(content))
    assert harness.content_of(target) == content + bytes(SIZE)


def test_a_target_of_another_size_is_refused(tmp_path: Path) -> None:
    target = harness.qcow2(harness.empty_image(tmp_path, "target", SIZE))
    with pytest.raises(MoverError, match=f"has {SIZE} bytes, expected {SIZE + 512}") as caught:
        harness.restore(harness.write_plan(target, SIZE + 512), segment_of(bytes(SIZE)))
    assert caught.value.id == "capacity-differs"
    with pytest.raises(MoverError, match="segment is of a disk of") as caught:
        harness.restore(harness.write_plan(target, SIZE), segment_of(bytes(SIZE + 512)))
    assert caught.value.id == "capacity-differs"


def test_another_segment_is_refused(tmp_path: Path) -> None:
    path = harness.empty_image(tmp_path, "target", SIZE)
    content = harness.disk(SIZE)
    header = headers.of_capacity(SIZE)
    right = headers.identity(header)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"node": "n2"}, "has node.id 'n1', expected 'n2'"),
        ({"node_base": None}, "has node.base 'n0', expected None"),
        ({"base": "n1"}, "has segment.base 'n0', expected 'n1'"),
        ({"base": None}, "has segment.base 'n0', expected None"),
        ({"disk": 2001}, "has disk.key 2000, expected 2001"),
        ({"capacity": SIZE - 512}, f"has capacity {SIZE}, expected {SIZE - 512}"),
    ]
    for change, problem in refused:
        plan = harness.write_plan(harness.qcow2(path), SIZE, replace(right, **change))
        _refuse(plan, segment_of(content, **header.to_json()), problem)
    # What another program has written.
    foreign: list[tuple[dict[str, Any], str]] = [
        ({}, "has no vm in its header"),
        (
            {**header.to_json(), "segment": {"name": right.name}},
            "has no segment.node in its header",
        ),
        ({**header.to_json(), "node": "n1"}, "has node 'n1', expected {'id': 'n1', "),
    ]
    plan = harness.write_plan(harness.qcow2(path), SIZE, right)
    for fields, problem in foreign:
        _refuse(plan, segment_of(content, **fields), problem)
    assert harness.content_of(path) == bytes(SIZE)
    harness.restore(plan, segment_of(content, **header.to_json()))
    assert harness.content_of(path) == content


def _refuse(plan: WritePlan, data: bytes, problem: str) -> None:
    with pytest.raises(MoverError, match=problem) as caught:
        harness.restore(plan, data)
    assert caught.value.id == "wrong-segment"


def test_a_read_only_target_is_refused_before_data_flows(tmp_path: Path) -> None:
    path = harness.image(tmp_path, "target", bytes(SIZE))
    with (
        harness.nbdkit(tmp_path, "-r", "file", str(path)) as target,
        Mover.write(harness.write_plan(target, SIZE)) as mover,
        pytest.raises(MoverError, match="does not allow writing"),
    ):
        mover.wait_ready(harness.TIMEOUT)


@pytest.mark.parametrize("place", ["header", "frame", "payload", "trailer"])
def test_damage_is_reported_after_all_was_taken(tmp_path: Path, place: str) -> None:
    """The writer of the pipe can finish: Bareos would else report a broken pipe."""
    target = harness.empty_image(tmp_path, "target", SIZE)
    data = bytearray(segment_of(harness.disk(SIZE), chunk=64 * KIB))
    offset = {"header": 30, "frame": 130, "payload": len(data) // 3, "trailer": -20}[place]
    data[offset] ^= 4
    long_tail = bytes(data) + bytes(8 * MIB)
    with Mover.write(harness.write_plan(harness.qcow2(target), SIZE)) as mover:
        harness.send(mover, long_tail)
        with pytest.raises(MoverError, match="segment damaged at byte") as caught:
            mover.finish(harness.TIMEOUT)
    assert caught.value.id.startswith("segment-")
    assert caught.value.id != "segment-trailing"


@pytest.mark.parametrize("length", [0, 10, 100, -65, -64, -1])
def test_a_truncated_segment_is_refused(tmp_path: Path, length: int) -> None:
    target = harness.empty_image(tmp_path, "target", SIZE)
    data = segment_of(harness.disk(SIZE))
    data = data[:length]
    with pytest.raises(MoverError, match="end of the stream") as caught:
        harness.restore(harness.write_plan(harness.qcow2(target), SIZE), data)
    assert caught.value.id == "segment-truncated"


def test_a_target_that_fails_is_named_with_the_place(tmp_path: Path) -> None:
    """What is sent is sound and more than the pipe holds: the writer of the pipe can finish.

    The target's failure is the only one: a second one, as of bytes after the trailer, would race.
    """
    path = harness.image(tmp_path, "target", bytes(8 * MIB))
    data = segment_of(random.Random(1).randbytes(8 * MIB))
    assert len(data) > 8 * MIB
    with (
        harness.nbdkit(
            tmp_path,
            "--filter=error",
            "file",
            str(path),
            "error-pwrite=ENOSPC",
            "error-pwrite-rate=1",
        ) as target,
        pytest.raises(MoverError, match=r"write of \d+ bytes at offset \d+ failed") as caught,
    ):
        harness.restore(harness.write_plan(target, 8 * MIB), data)
    assert caught.value.id == "nbd-failed"
    assert "ENOSPC" in str(caught.value)


def test_a_failing_flush_is_a_failure(tmp_path: Path) -> None:
    script = tmp_path / "plugin.sh"
    store = tmp_path / "store"
    store.write_bytes(bytes(SIZE))
    script.write_text(
        f"""#!/bin/sh
case "$1" in
  get_size) echo {SIZE} ;;
  pread) dd if={store} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none ;;
  pwrite) dd of={store} conv=notrunc oflag=seek_bytes seek=$4 status=none ;;
  can_write|can_flush) exit 0 ;;
  flush) echo 'EIO the disk is gone' >&2; exit 1 ;;
  *) exit 2 ;;
esac
"""
    )
    script.chmod(0o755)
    data = segment_of(harness.disk(SIZE))
    with (
        harness.nbdkit(tmp_path, "sh", str(script)) as target,
        pytest.raises(MoverError, match="flush failed") as caught,
    ):
        harness.restore(harness.write_plan(target, SIZE), data)
    assert caught.value.id == "nbd-failed"


@pytest.mark.parametrize("readback", [True, False])
def test_readback_catches_a_target_that_lies(tmp_path: Path, readback: bool) -> None:
    """A server that says it has written, and has not."""
    with harness.nbdkit(
        tmp_path,
        "eval",
        f"get_size=echo {SIZE}",
        "pread=head -c $3 /dev/zero",
        "can_write=exit 0",
        "pwrite=cat >/dev/null",
    ) as target:
        plan = harness.write_plan(target, SIZE, readback=readback)
        data = segment_of(harness.disk(SIZE))
        if not readback:
            harness.restore(plan, data)
            return
        with pytest.raises(MoverError, match=r"\d+ bytes at offset \d+ differ") as caught:
            harness.restore(plan, data)
    assert caught.value.id == "readback-differs"
