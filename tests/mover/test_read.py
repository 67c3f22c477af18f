# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What each method puts in a segment, from real servers."""

from __future__ import annotations

import io
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap import extents
from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import MoverError
from bareos_vmsnap.stream import layout
from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.transport.disks import DiskDescription, Qcow2Disk
from tests.tree.headers import HEADER

from . import harness
from .harness import KIB, MIB

ODD = 3 * MIB + 7 * 512


@pytest.fixture(params=["qcow2", "nbdkit"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a function that makes content a readable endpoint, by either kind of server."""
    stack = ExitStack()
    request.addfinalizer(stack.close)

    def serve(content: bytes, name: str = "disk") -> DiskDescription:
        if request.param == "qcow2":
            return harness.qcow2(harness.image(tmp_path, name, content, "qcow2"))
        path = harness.image(tmp_path, name, content)
        return stack.enter_context(harness.nbdkit(tmp_path, "-r", "file", str(path)))

    return serve


def test_full(served: Any) -> None:
    content = harness.disk(ODD)
    data, report = harness.backup(harness.read_plan(served(content), ODD, "full"))
    dirt = b"\xaa" * ODD
    assert harness.applied(data, dirt, ODD) == content
    assert extents.total(harness.covered(data)) == ODD
    assert report.data_bytes + report.zero_bytes == ODD
    assert report.stream_bytes == len(data)
    assert report.frames == len(harness.frames(data))
    header = SegmentReader(io.BytesIO(data)).header
    assert header == {**HEADER.to_json(), "capacity": ODD, "chunk": MIB}
    assert report.notes == ()


@pytest.mark.parametrize("keep_zeros", [False, True])
def test_allocated(served: Any, keep_zeros: bool) -> None:
    content = harness.disk(ODD)
    plan = harness.read_plan(served(content), ODD, "allocated", keep_zeros=keep_zeros)
    data, report = harness.backup(plan)
    assert harness.applied(data, b"", ODD) == content
    if not keep_zeros:
        assert report.zero_bytes == 0
    # What is not allocated is not read, so it is no zero frame either.
    assert 0 < report.data_bytes + report.zero_bytes < ODD


def test_allocated_drops_or_keeps_zeros_that_were_read(tmp_path: Path) -> None:
    content = harness.disk(MIB, 1) + bytes(MIB) + harness.disk(MIB, 2)
    path = harness.image(tmp_path, "disk", content)
    for keep_zeros in (False, True):
        with harness.nbdkit(tmp_path, "-r", "--filter=noextents", "file", str(path)) as source:
            plan = harness.read_plan(source, len(content), "allocated", keep_zeros=keep_zeros)
            data, report = harness.backup(plan)
        assert report.zero_bytes == (MIB if keep_zeros else 0)
        assert harness.applied(data, b"", len(content)) == content


def test_allocated_takes_given_extents_too(served: Any) -> None:
    content = bytes(MIB) + harness.disk(MIB, 3) + bytes(MIB)
    plan = harness.read_plan(served(content), len(content), "allocated", keep_zeros=True)
    areas = [(0, 1000), (2 * MIB + 64 * KIB, 4 * KIB)]
    data, _ = harness.backup(plan, areas)
    covered = harness.covered(data)
    missing = extents.subtract(areas, covered)
    assert list(missing) == []
    assert harness.applied(data, b"", len(content)) == content


def test_allocated_of_an_empty_disk(served: Any) -> None:
    data, report = harness.backup(harness.read_plan(served(bytes(ODD)), ODD, "allocated"))
    assert (report.frames, report.data_bytes, report.zero_bytes) == (0, 0, 0)
    assert harness.applied(data, b"", ODD) == bytes(ODD)


def test_cbt(served: Any) -> None:
    base = harness.disk(ODD)
    content, areas = harness.changed(base, 5)
    data, report = harness.backup(harness.read_plan(served(content), ODD, "cbt"), areas)
    assert harness.applied(data, base, ODD) == content
    assert list(extents.merge(sorted(harness.covered(data)))) == list(extents.merge(areas))
    assert report.data_bytes + report.zero_bytes == extents.total(areas)
    assert report.zero_bytes > 0


def test_cbt_keeps_zeros_whatever_the_plan_says(served: Any) -> None:
    content = bytes(MIB)
    plan = harness.read_plan(served(content), MIB, "cbt", keep_zeros=False)
    data, report = harness.backup(plan, [(0, 256 * KIB), (512 * KIB, 512)])
    assert harness.covered(data) == [(0, 256 * KIB), (512 * KIB, 512)]
    assert report.zero_bytes == 256 * KIB + 512


def test_cbt_widens_to_sectors_and_stops_at_the_end(served: Any) -> None:
    content = harness.disk(ODD)
    plan = harness.read_plan(served(content), ODD, "cbt", keep_zeros=True)
    data, _ = harness.backup(plan, [(700, 10), (1500, 100), (ODD - 1, 5 * MIB), (9 * MIB, 1)])
    covered = list(extents.merge(sorted(harness.covered(data))))
    assert covered == [(512, 1536), (ODD - 512, 512)]


def test_cbt_without_changes(served: Any) -> None:
    data, report = harness.backup(harness.read_plan(served(harness.disk(ODD)), ODD, "cbt"))
    assert (report.frames, len(data)) == (0, report.stream_bytes)


@pytest.mark.parametrize("difference", [-MIB - 512, 0, 2 * MIB + 5 * 512])
def test_compare(served: Any, difference: int) -> None:
    size = ODD + difference
    base = harness.disk(ODD)
    content, _ = harness.changed(base.ljust(size, b"\0")[:size], 9)
    plan = harness.read_plan(
        served(content), size, "compare", base=served(base, "base"), granularity=4 * KIB
    )
    data, report = harness.backup(plan)
    assert harness.applied(data, base, size) == content
    differing = {
        place // (4 * KIB)
        for place in range(0, size, 512)
        if content[place : place + 512]
        != base[place : place + 512].ljust(512, b"\0")[: size - place]
    }
    covered = harness.covered(data)
    granules = {
        number
        for start, length in covered
        for number in range(start // (4 * KIB), -(-(start + length) // (4 * KIB)))
    }
    assert granules == differing
    assert report.zero_bytes > 0


def test_compare_of_equal_disks_is_empty(served: Any) -> None:
    content = harness.disk(ODD)
    plan = harness.read_plan(served(content), ODD, "compare", base=served(content, "base"))
    _, report = harness.backup(plan)
    assert report.frames == 0


def test_compare_sees_data_that_became_zeros(served: Any) -> None:
    base = harness.disk(2 * MIB, 1)
    plan = harness.read_plan(served(bytes(2 * MIB)), 2 * MIB, "compare", base=served(base, "base"))
    data, report = harness.backup(plan)
    assert harness.applied(data, base, 2 * MIB) == bytes(2 * MIB)
    assert report.data_bytes == 0


def test_long_zeros_become_one_frame(tmp_path: Path) -> None:
    """Known by allocation or read: zeros join whatever thread finds them."""
    size = 40 * MIB
    for filters in ([], ["--filter=noextents"]):
        with harness.nbdkit(tmp_path, "-r", *filters, "memory", str(size)) as source:
            data, report = harness.backup(harness.read_plan(source, size, "full"))
        assert harness.covered(data) == [(0, size)]
        assert report.zero_bytes == size


def test_a_server_that_does_not_tell_allocation_is_read_whole(tmp_path: Path) -> None:
    content = harness.disk(ODD)
    path = harness.image(tmp_path, "disk", content)
    with harness.nbdkit(tmp_path, "-r", "--no-sr", "file", str(path)) as source:
        data, report = harness.backup(harness.read_plan(source, ODD, "allocated"))
    assert harness.applied(data, b"", ODD) == content
    assert "does not tell what is allocated" in report.notes[0]


def test_a_server_that_fails_to_tell_allocation_is_read_whole(tmp_path: Path) -> None:
    content = harness.disk(ODD)
    path = harness.image(tmp_path, "disk", content)
    with harness.nbdkit(
        tmp_path, "-r", "--filter=error", "file", str(path), "error-extents-rate=1"
    ) as source:
        data, report = harness.backup(harness.read_plan(source, ODD, "allocated"))
    assert harness.applied(data, b"", ODD) == content
    assert "failed to tell what is allocated at offset 0" in report.notes[0]


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_compression(tmp_path: Path, compression: str) -> None:
    content = b"compressible " * 100000
    content = content[: len(content) // 512 * 512]
    source = harness.qcow2(harness.image(tmp_path, "disk", content, "qcow2"))
    plan = harness.read_plan(source, len(content), "full", compression=compression)
    data, report = harness.backup(plan)
    assert harness.applied(data, b"", len(content)) == content
    kinds = {frame.kind for frame, _ in harness.frames(data)} - {layout.ZERO}
    assert kinds == {layout.LZ4 if compression == "lz4" else layout.STORED}
    assert (report.stored_bytes == report.data_bytes) == (compression == "none")


@pytest.mark.parametrize(
    "settings",
    [
        {"chunk": 64 * KIB, "granularity": 512},
        {"chunk": 4 * MIB, "request_size": 256 * KIB},
        {"connections": 1, "requests_in_flight": 1},
        {"connections": 5, "requests_in_flight": 20},
    ],
)
@pytest.mark.parametrize("method", ["full", "cbt", "compare"])
def test_settings(tmp_path: Path, settings: dict[str, int], method: Method) -> None:
    base = harness.disk(ODD)
    content, areas = harness.changed(base, 2, places=60)
    more: dict[str, Any] = dict(settings)
    if method == "compare":
        more["base"] = harness.qcow2(harness.image(tmp_path, "base", base, "qcow2"))
    source = harness.qcow2(harness.image(tmp_path, "disk", content, "qcow2"))
    data, _ = harness.backup(harness.read_plan(source, ODD, method, **more), areas)
    assert harness.applied(data, base, ODD) == content


def test_a_slow_server_does_not_disturb_the_order(tmp_path: Path) -> None:
    """Many small extents while requests take their time: all are there, in the format's window."""
    content = harness.disk(4 * MIB)
    path = harness.image(tmp_path, "disk", content)
    areas = [(place, 512) for place in range(0, 4 * MIB, 1024)]
    with harness.nbdkit(
        tmp_path, "-r", "--filter=delay", "file", str(path), "rdelay=2ms"
    ) as source:
        data, report = harness.backup(harness.read_plan(source, len(content), "cbt"), areas)
    assert sum(length for _, length in harness.covered(data)) == 2 * MIB
    assert report.data_bytes + report.zero_bytes == 2 * MIB
    half = bytearray(content)
    for place, length in areas:
        half[place + 512 : place + 512 + length] = bytes(512)
    assert harness.applied(data, b"", len(content)) == bytes(half)


def test_the_rate_limit_is_kept(served: Any) -> None:
    content = harness.disk(4 * MIB)
    began = time.monotonic()
    data, _ = harness.backup(
        harness.read_plan(served(content), 4 * MIB, "full", rate_limit=4 * MIB)
    )
    assert time.monotonic() - began >= 0.45  # two of four pieces are waited for
    assert harness.applied(data, b"", 4 * MIB) == content


def test_a_disk_of_another_size_is_refused(served: Any) -> None:
    with pytest.raises(MoverError, match=f"has {ODD} bytes, expected {ODD + 512}") as caught:
        harness.backup(harness.read_plan(served(harness.disk(ODD)), ODD + 512, "full"))
    assert caught.value.id == "capacity-differs"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"method": "guess"}, "method: expected 'cbt' or "),
        ({"method": "compare"}, "base goes with method compare"),
        ({"compression": "zip"}, "compression: expected 'lz4' or 'none'"),
        ({"capacity": -1}, "capacity must be"),
        ({"chunk": 1000}, "chunk is not a multiple of 512"),
        ({"chunk": 32 * MIB}, "chunk must be"),
        (
            {"method": "compare", "base": Qcow2Disk("/base"), "granularity": 3 * 512},
            "chunk is not a multiple of granularity",
        ),
        (
            {"method": "compare", "base": Qcow2Disk("/base"), "granularity": 512},
            "granularity is less than chunk / 256",
        ),
        ({"connections": 0}, "connections must be"),
        ({"keepalive": 0.0}, "keepalive must be"),
        ({"requests_in_flight": 0}, "requests_in_flight must be"),
        ({"source": "disk"}, "source: expected an object"),
        ({"header": {}}, "header: .*missing"),
        ({"header": {"node": "n1"}}, "header.node: expected an object"),
        ({"header": replace(HEADER, name="x" * layout.MAX_HEADER)}, "header of"),
        ({"request_size": 2 * MIB}, "request_size must be from 65536 to 1048576"),
    ],
)
def test_a_bad_plan_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    source = harness.qcow2(harness.empty_image(tmp_path, "disk", MIB))
    with pytest.raises(MoverError, match=problem) as caught:
        harness.backup(replace(harness.read_plan(source, MIB, "full"), **change))
    assert caught.value.id == "mover-plan"


def test_extents_out_of_order_are_refused(tmp_path: Path) -> None:
    source = harness.qcow2(harness.empty_image(tmp_path, "disk", MIB))
    with pytest.raises(MoverError, match="extents are not sorted") as caught:
        harness.backup(harness.read_plan(source, MIB, "cbt"), [(4096, 512), (0, 512)])
    assert caught.value.id == "mover-plan"
