# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Short ways to say what many of these tests say."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmsnap_lab.storage import StorageError

BLOCK = 64 * 1024
BASE = "[datastore1] vm/vm.vmdk"


def delta(number: int) -> str:
    return f"[datastore1] vm/vm-{number:06d}.vmdk"


@contextlib.contextmanager
def refused(kind: str) -> Iterator[None]:
    with pytest.raises(StorageError) as caught:
        yield
    assert (caught.value.kind, bool(str(caught.value))) == (kind, True), caught.value


def blocks(areas: Any) -> set[int]:
    """The numbers of the blocks that changed areas name; fails if they are not whole ones."""
    found: set[int] = set()
    for area in areas:
        assert area.start % BLOCK == 0
        found.update(range(area.start // BLOCK, -(-(area.start + area.length) // BLOCK)))
    return found


def differing(one: bytes, other: bytes) -> set[int]:
    """The blocks in which two contents of a disk differ."""
    assert len(one) == len(other)
    numbers = range(-(-len(one) // BLOCK))
    return {n for n in numbers if one[n * BLOCK :][:BLOCK] != other[n * BLOCK :][:BLOCK]}


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def servers(parent: int | None = None) -> list[int]:
    """The process ids of the qemu-nbd that a process (this one) has started."""
    parent = parent or os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            status = (entry / "stat").read_text()
            name, _, rest = status.partition("(")[2].rpartition(")")
            if name == "qemu-nbd" and int(rest.split()[1]) == parent and rest.split()[0] != "Z":
                found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
