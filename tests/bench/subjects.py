# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What is measured: the mover between a server and a reader or a stored segment, and nbdcopy."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import Mover
from bareos_vmsnap.mover.plan import ReadPlan, WritePlan
from bareos_vmsnap.mover.report import Report
from tests.bench import processes
from tests.bench.meter import Meter, Run
from tests.bench.servers import Server

TIMEOUT = 600.0
# Bareos' core reads and writes so much at a time with read(2) and write(2), into one buffer.
_CORE = ("dd", "bs=256K", "iflag=fullblock", "status=none")


def back_up(
    source: Server,
    capacity: int,
    *,
    method: Method = "full",
    extents: Iterable[tuple[int, int]] = (),
    base: Optional[Server] = None,
    into: Optional[Path] = None,
    **plan: Any,
) -> Run:
    """A mover reads a disk; what reads the segment does so as Bareos' core does.

    `into` keeps the segment; `plan`: more keys of the mover's plan. The time starts before the
    mover's process does.
    """
    whole = ReadPlan(source.disk, None, capacity, method, base=base.disk if base else None, **plan)
    return read_plan(whole, extents, servers=[source, *([base] if base else [])], into=into)


def read_plan(
    plan: ReadPlan,
    extents: Iterable[tuple[int, int]] = (),
    *,
    servers: Sequence[Server] = (),
    into: Optional[Path] = None,
) -> Run:
    """A mover reads by any plan."""
    with Meter([server.pid for server in servers]) as run, Mover.read(plan, extents) as mover:
        reader = subprocess.Popen([*_CORE, f"of={into or '/dev/null'}"], stdin=mover.data_fd)
        mover.close_data()
        spent = processes.wait(reader)
        report = mover.finish(TIMEOUT)
    return _with_report(run, report, reader=spent)


def restore(target: Server, capacity: int, segment: Path, **plan: Any) -> Run:
    """A mover writes a stored segment to a disk. `plan`: more keys of the mover's plan."""
    whole = WritePlan(target.disk, capacity, None, **plan)
    return write_plan(whole, segment, servers=[target])


def write_plan(plan: WritePlan, segment: Path, *, servers: Sequence[Server] = ()) -> Run:
    """A mover writes a stored segment by any plan."""
    with Meter([server.pid for server in servers]) as run, Mover.write(plan) as mover:
        feeder = subprocess.Popen([*_CORE, f"if={segment}"], stdout=mover.data_fd)
        mover.close_data()
        spent = processes.wait(feeder)
        report = mover.finish(TIMEOUT)
    return _with_report(run, report, feeder=spent)


def nbdcopy(*arguments: object, servers: Sequence[Server]) -> Run:
    """Run nbdcopy with these arguments."""
    with Meter([server.pid for server in servers]) as run:
        processes.wait(_start("nbdcopy", *arguments))
    return run


def nbdcopy_to_lz4(source: Server) -> Run:
    """`nbdcopy URI - | lz4 -1 > /dev/null`"""
    with Meter([source.pid]) as run:
        copy = _start("nbdcopy", source.uri, "-", stdout=subprocess.PIPE)
        pack = _start("lz4", "-1", "-q", "-c", stdin=copy.stdout, stdout=subprocess.DEVNULL)
        assert copy.stdout is not None
        copy.stdout.close()
        run.parts["nbdcopy"] = processes.wait(copy)
        run.parts["lz4"] = processes.wait(pack)
    return run


def _start(*command: object, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([str(word) for word in command], **how)


def _with_report(run: Run, report: Report, **parts: float) -> Run:
    run.parts.update(parts)
    run.parts["mover"] = run.cpu - sum(parts.values()) - run.parts["server"]
    run.more = {
        "frames": report.frames,
        "data_bytes": report.data_bytes,
        "zero_bytes": report.zero_bytes,
        "stored_bytes": report.stored_bytes,
        "stream_bytes": report.stream_bytes,
    }
    return run
