# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap.errors import Canceled
from bareos_vmsnap.extents import CBT_BLOCK as BLOCK
from bareos_vmsnap.fd.methods import audit
from bareos_vmsnap.mover.client.launch import Interpreter
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.transport.disks import Qcow2Disk


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=6),
    st.integers(0, 40 * BLOCK // 512),
    st.integers(0, 60),
)
def test_a_sample_touches_nothing_changed(
    areas: list[tuple[int, int]], sectors: int, count: int
) -> None:
    capacity = sectors * 512
    changed = sorted((at * 30_000, length * 10_000) for at, length in areas)
    changed = [(start, min(n, capacity - start)) for start, n in changed if start < capacity]
    found = audit.sample(changed, capacity, count, random.Random(1))
    touched = {
        block
        for start, n in changed
        if n
        for block in range(start // BLOCK, (start + n - 1) // BLOCK + 1)
    }
    every = range(-(-capacity // BLOCK))
    numbers = [start // BLOCK for start, _ in found]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(every) - touched
    assert len(numbers) == min(count, len(set(every) - touched))
    assert all(start + n <= capacity and 0 < n <= BLOCK for start, n in found)


def plan(tmp_path: Path, difference: int) -> ReadPlan:
    """Two disks of 1 MiB that differ in one byte."""
    content = bytearray(random.Random(1).randbytes(1 << 20))
    for name in ("base", "disk"):
        (tmp_path / name).write_bytes(content)
        content[difference] ^= 1
        image = tmp_path / f"{name}.qcow2"
        command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(tmp_path / name)]
        subprocess.run([*command, str(image)], check=True)
    source, base = (Qcow2Disk(str(tmp_path / f"{name}.qcow2")) for name in ("disk", "base"))
    return ReadPlan(source, None, 1 << 20, "audit", base=base)


def test_a_difference_within_the_sample_is_found(tmp_path: Path) -> None:
    reading = plan(tmp_path, difference=5 * BLOCK + 7)
    everything = audit.sample([], 1 << 20, 16, random.Random(1))
    assert audit.differing(reading, everything, threading.Event(), Interpreter()) == BLOCK


def test_a_difference_outside_the_sample_is_not_looked_at(tmp_path: Path) -> None:
    reading = plan(tmp_path, difference=5 * BLOCK + 7)
    assert (
        audit.differing(reading, [(0, BLOCK), (6 * BLOCK, BLOCK)], threading.Event(), Interpreter())
        == 0
    )


def test_a_cancel_ends_the_audit(tmp_path: Path) -> None:
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(Canceled):
        audit.differing(plan(tmp_path, 0), [(0, BLOCK)], canceled, Interpreter())
    shutil.rmtree(tmp_path)
