# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Connections that are idle because the segment's other end stalls are used now and then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import Mover

from . import harness
from .harness import KIB, MIB


def pings(log: Path) -> int:
    """How many reads of block 0 the server has seen, of one sector."""
    return sum("Read" in line and "count=0x200 " in line for line in log.read_text().splitlines())


@pytest.mark.parametrize("method", ["full", "compare"])
def test_reading_while_nobody_takes_the_segment(tmp_path: Path, method: Method) -> None:
    content, log = harness.disk(16 * MIB), tmp_path / "log"
    raw = harness.image(tmp_path, "disk", content)
    with (
        harness.nbdkit(
            tmp_path, "-r", "--filter=log", "file", str(raw), f"logfile={log}"
        ) as source,
        harness.nbdkit(tmp_path, "-r", "null", str(16 * MIB)) as empty,
    ):
        base = {"base": empty} if method == "compare" else {}
        plan = harness.read_plan(
            source, 16 * MIB, method, compression="none", keepalive=0.2, connections=3, **base
        )
        with Mover.read(plan) as mover:
            mover.wait_ready(harness.TIMEOUT)
            # Three connections, at least two times each.
            harness.wait_until(lambda: pings(log) >= 6)
            data = harness.receive(mover)
            mover.finish(harness.TIMEOUT)
    assert harness.applied(data, b"", 16 * MIB) == content


@pytest.mark.parametrize("begun", [False, True])
def test_writing_while_nothing_comes(tmp_path: Path, begun: bool) -> None:
    content, log = harness.disk(MIB), tmp_path / "log"
    source = harness.qcow2(harness.image(tmp_path, "source", content, "qcow2"))
    data, _ = harness.backup(harness.read_plan(source, MIB, "full"))
    target = harness.image(tmp_path, "target", bytes(MIB))
    serving = harness.nbdkit(tmp_path, "--filter=log", "file", str(target), f"logfile={log}")
    with serving as there, Mover.write(harness.write_plan(there, MIB, keepalive=0.2)) as mover:
        mover.wait_ready(harness.TIMEOUT)
        sent = 200 * KIB if begun else 0
        harness.send(mover, data[:sent])
        harness.wait_until(lambda: pings(log) >= 3)
        harness.send(mover, data[sent:])
        mover.finish(harness.TIMEOUT)
    assert target.read_bytes() == content


def test_a_busy_connection_is_left_alone(tmp_path: Path) -> None:
    content, log = harness.disk(4 * MIB), tmp_path / "log"
    raw = harness.image(tmp_path, "disk", content)
    with harness.nbdkit(
        tmp_path, "-r", "--filter=log", "file", str(raw), f"logfile={log}"
    ) as source:
        plan = harness.read_plan(source, 4 * MIB, "full")
        data, _ = harness.backup(plan)
    assert harness.applied(data, b"", 4 * MIB) == content
    assert pings(log) == 0
