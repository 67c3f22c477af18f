# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks, servers, and the part of Bareos' core: moving bytes between a mover and a volume."""

from __future__ import annotations

import io
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap.method_names import Method
from bareos_vmsnap.mover.client.mover import Mover
from bareos_vmsnap.mover.plan import ReadPlan, WritePlan
from bareos_vmsnap.mover.report import Report
from bareos_vmsnap.stream.frame import Frame
from bareos_vmsnap.stream.reader import SegmentReader
from bareos_vmsnap.transport.disks import DiskDescription, NbdDisk, Qcow2Disk
from bareos_vmsnap.tree.segment_header import SegmentIdentity
from tests.tree.headers import HEADER

KIB = 1024
MIB = 1024 * KIB
TIMEOUT = 90.0
# For scripts that are given the repr() of a plan.
IMPORTS = (
    "from bareos_vmsnap.mover.plan import *; from bareos_vmsnap.transport.disks import *; "
    "from bareos_vmsnap.mover.client import *; from bareos_vmsnap.tree.segment_header import *"
)


@contextmanager
def nbdkit(folder: Path, *arguments: str) -> Iterator[NbdDisk]:
    """Run nbdkit, yield the description of its disk."""
    socket = folder / f"nbdkit-{random.getrandbits(32):08x}"
    ready = socket.with_suffix(".pid")
    process = subprocess.Popen(
        ["nbdkit", "-f", "--exit-with-parent", "-U", str(socket), "-P", str(ready), *arguments],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(ready.exists)
        yield NbdDisk(f"nbd+unix:///?socket={socket}")
    finally:
        process.kill()
        process.wait()


def pid_of(disk: DiskDescription) -> int:
    """Return the process of an nbdkit."""
    assert isinstance(disk, NbdDisk)
    return int(Path(disk.uri.partition("socket=")[2] + ".pid").read_text())


def image(folder: Path, name: str, content: bytes, image_format: str = "raw") -> Path:
    """Write a disk image, zeros as holes."""
    path = folder / f"{name}.raw"
    with path.open("wb") as file:
        for place in range(0, len(content), 4 * KIB):
            part = content[place : place + 4 * KIB]
            if any(part):
                file.seek(place)
                file.write(part)
        file.truncate(len(content))
    if image_format == "raw":
        return path
    other = folder / f"{name}.{image_format}"
    subprocess.run(["qemu-img", "convert", "-O", image_format, str(path), str(other)], check=True)
    return other


def qcow2(path: Path) -> Qcow2Disk:
    """Return the description of a local image."""
    return Qcow2Disk(str(path))


def empty_image(folder: Path, name: str, size: int) -> Path:
    """Make an empty qcow2 image."""
    path = folder / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)], check=True)
    return path


def content_of(path: Path) -> bytes:
    """Return all bytes of a disk image."""
    raw = path.with_suffix(".content")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    return raw.read_bytes()


def disk(size: int, seed: int = 0) -> bytes:
    """Return disk content: stretches of noise, text and zeros of odd lengths."""
    source = random.Random(seed)
    parts, length = [], 0
    while length < size:
        part = min(
            source.choice((512, 4096, 9 * 512, 70000 // 512 * 512, 300 * KIB)), size - length
        )
        kind = source.randrange(3)
        if kind == 0:
            parts.append(source.randbytes(part))
        elif kind == 1:
            parts.append(
                (b"the quick brown fox %d " % source.getrandbits(20) * (part // 20))[:part]
            )
            parts[-1] += bytes(part - len(parts[-1]))
        else:
            parts.append(bytes(part))
        length += part
    return b"".join(parts)


def changed(content: bytes, seed: int, places: int = 12) -> tuple[bytes, list[tuple[int, int]]]:
    """Return content with some sectors overwritten, by zeros too, and the sorted extents of it."""
    source = random.Random(seed)
    result, extents = bytearray(content), []
    for number in range(places):
        start = source.randrange(len(content) // 512) * 512
        length = min(source.randint(1, 300) * 512, len(content) - start)
        result[start : start + length] = (
            bytes(length) if number % 3 == 0 else source.randbytes(length)
        )
        extents.append((start, length))
    return bytes(result), sorted(extents)


def read_plan(source: DiskDescription, capacity: int, method: Method, **more: Any) -> ReadPlan:
    """Return a plan to read."""
    more.setdefault("header", HEADER)
    return ReadPlan(source=source, capacity=capacity, method=method, **more)


def write_plan(
    target: DiskDescription,
    capacity: int,
    expect: Optional[SegmentIdentity] = None,
    **more: Any,
) -> WritePlan:
    """Return a plan to write."""
    return WritePlan(target, capacity, expect, **more)


def backup(plan: ReadPlan, extents: Iterable[tuple[int, int]] = ()) -> tuple[bytes, Report]:
    """Read a segment as Bareos would; return it with the report."""
    with Mover.read(plan, extents) as mover:
        data = receive(mover)
        return data, mover.finish(TIMEOUT)


def restore(plan: WritePlan, data: bytes) -> Report:
    """Write a segment as Bareos would."""
    with Mover.write(plan) as mover:
        send(mover, data)
        return mover.finish(TIMEOUT)


def receive(mover: Mover) -> bytes:
    """Read what the mover sends to its end."""
    return b"".join(iter(lambda: os.read(mover.data_fd, 262144), b""))


def send(mover: Mover, data: bytes) -> None:
    """Write all to the mover."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(mover.data_fd, rest[:262144]) :]


def frames(data: bytes) -> list[tuple[Frame, Optional[bytes]]]:
    """Return the frames of a segment with their data, None for zeros."""
    return [
        (frame, None if raw is None else bytes(raw))
        for frame, raw in SegmentReader(io.BytesIO(data))
    ]


def applied(data: bytes, base: bytes, capacity: int) -> bytes:
    """Return the disk that a segment makes of its base: the meaning of the format, in five lines."""
    result = bytearray(base[:capacity].ljust(capacity, b"\0"))
    for frame, raw in frames(data):
        result[frame.offset : frame.offset + frame.length] = raw or bytes(frame.length)
    assert len(result) == capacity
    return bytes(result)


def covered(data: bytes) -> list[tuple[int, int]]:
    """Return the sorted extents that the frames of a segment cover."""
    return sorted((frame.offset, frame.length) for frame, _ in frames(data))


def wait_until(condition: Any, timeout: float = 60.0) -> None:
    """Wait until a condition holds; fail if that takes too long."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{condition} does not hold within {timeout} s"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def in_thread(task: Any) -> threading.Thread:
    """Run something meanwhile."""
    thread = threading.Thread(target=task)
    thread.start()
    return thread
