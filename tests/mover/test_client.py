# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The side that runs inside bareos-fd: light, quiet, and never stuck."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import bareos_vmsnap
from bareos_vmsnap import extents
from bareos_vmsnap.mover import wire
from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.child.plan_intake import receive
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.processes.pipes import Channel
from bareos_vmsnap.transport.disks import NbdDisk

from . import harness
from .harness import KIB, MIB

pytestmark = pytest.mark.usefixtures("both_launchers")


def test_a_million_extents(tmp_path: Path) -> None:
    """The plan goes in before anybody reads the data; the mover stays small."""
    count, step = 1_000_000, 128 * KIB
    size = count * step
    handed_out = 0

    def changed() -> Iterator[tuple[int, int]]:
        nonlocal handed_out
        for number in range(count):
            handed_out += 1
            yield number * step, 64 * KIB
            if number == 0:
                yield 70 * KIB, 0

    with harness.nbdkit(tmp_path, "-r", "memory", str(size)) as source:
        plan = harness.read_plan(source, size, "cbt", header=None)
        with Mover.read(plan, changed()) as mover:
            assert handed_out == count
            mover.wait_ready(harness.TIMEOUT)
            os.read(mover.data_fd, 1)  # the plan is at work
            peak = _peak_memory(mover._process.pid)
    assert peak < 64 * MIB


def test_extents_that_fail_end_the_mover(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[int, int]]:
        yield 0, 512
        raise BrokenPipeError("vCenter went away")

    before = set(harness.children_of(os.getpid()))
    source = harness.qcow2(harness.empty_image(tmp_path, "disk", MIB))
    with pytest.raises(BrokenPipeError, match="vCenter went away"):
        Mover.read(harness.read_plan(source, MIB, "cbt"), broken())
    assert set(harness.children_of(os.getpid())) == before


@pytest.mark.parametrize("bad", [[(0, -1)], [(-1, 5)], [(0, 1 << 64)], [("0", 5)]])
def test_extents_that_are_none_are_refused(tmp_path: Path, bad: list[tuple[int, int]]) -> None:
    source = harness.qcow2(harness.empty_image(tmp_path, "disk", MIB))
    with pytest.raises(ValueError, match="not a pair"):
        Mover.read(harness.read_plan(source, MIB, "cbt"), bad)


def test_no_descriptor_thread_or_process_is_left(tmp_path: Path) -> None:
    source = harness.qcow2(harness.image(tmp_path, "disk", harness.disk(MIB), "qcow2"))

    def count() -> tuple[int, int, int]:
        return (
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(harness.children_of(os.getpid())),
        )

    before = count()
    for _ in range(3):
        harness.backup(harness.read_plan(source, MIB, "full"))
        with pytest.raises(MoverError):
            harness.backup(harness.read_plan(source, MIB, "full", chunk=0))
        with Mover.read(harness.read_plan(source, MIB, "full")):
            pass
    assert count() == before


def test_only_the_meant_descriptors_are_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []

    class Noted(Channel):
        def __init__(self, owner: object, ours: str) -> None:
            super().__init__(owner, ours)
            passed.append(os.readlink(f"/proc/self/fd/{self.theirs}"))

    monkeypatch.setattr("bareos_vmsnap.mover.client.mover.Channel", Noted)
    source = harness.qcow2(harness.image(tmp_path, "disk", harness.disk(4 * MIB), "qcow2"))
    stray = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(stray, True)
    try:
        with Mover.read(harness.read_plan(source, 4 * MIB, "full", compression="none")) as mover:
            mover.wait_ready(harness.TIMEOUT)
            [server] = harness.children_of(mover._process.pid)
            pid = mover._process.pid
            [theirs] = passed
            assert _open_files(pid).count(theirs) == 1
            assert os.readlink(f"/proc/self/fd/{mover.data_fd}") not in _open_files(pid)
            assert stray not in map(int, os.listdir(f"/proc/{pid}/fd"))
            # The server has none of the mover's ends: that they close would not be seen.
            assert theirs not in _open_files(server)
            closing = mover._close_lifeline.peek()
            assert closing is not None
            lifeline = os.readlink(f"/proc/self/fd/{closing[2][0]}")
            assert lifeline not in _open_files(server)
    finally:
        os.close(stray)


def test_the_client_needs_the_standard_library_only() -> None:
    script = (
        "import sys; import bareos_vmsnap.mover.client.mover; names = set(sys.modules);"
        "print(sorted(n for n in names if n.split('.')[0] in"
        " {'nbd', 'libnbdmod', 'lz4', 'xxhash', 'pyVmomi', 'ctypes', 'multiprocessing', 'logging'}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"


def test_the_package_is_found_from_anywhere(tmp_path: Path) -> None:
    """The mover has the package that its client has, not one that happens to be installed."""
    copy = tmp_path / "plugins" / "bareos_vmsnap"
    shutil.copytree(
        Path(bareos_vmsnap.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    target = copy / "mover" / "child" / "process.py"
    target.write_text("import sys\ndef main(arguments): sys.exit('the copy was run')\n")
    source = harness.qcow2(harness.empty_image(tmp_path, "disk", MIB))
    script = (
        f"import sys; sys.path.insert(0, {str(copy.parent)!r})\n"
        f"{harness.IMPORTS}\n"
        f"Mover.read({harness.read_plan(source, MIB, 'full')!r}).finish(30)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "the copy was run" in found.stderr


def test_secrets_are_nowhere_to_be_seen(tmp_path: Path) -> None:
    """Neither in the arguments nor the environment of any process, nor in messages."""
    secret = "correct-horse-battery"
    path = harness.image(tmp_path, "disk", harness.disk(4 * MIB))
    with harness.nbdkit(tmp_path, "-r", "file", str(path)) as endpoint:
        uri = endpoint.uri.replace("nbd+unix://", f"nbd+unix://{secret}@") + f"&x={secret}"
        plan = harness.read_plan(NbdDisk(uri), 4 * MIB, "full", compression="none")
        assert secret not in repr(plan)
        with Mover.read(plan) as mover:
            harness.wait_until(lambda: len(_open_files(mover._process.pid)) > 8)
            for file in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{mover._process.pid}/{file}").read_text()
            with pytest.raises(MoverError) as caught:
                mover.close_data()
                mover.finish(harness.TIMEOUT)
    assert secret not in str(caught.value)
    unparsable = f"nbd://{secret}@%zz:99999999/?socket=/x"
    for broken in (secret, unparsable, f"http://{secret}"):
        with pytest.raises(MoverError) as caught:
            harness.backup(harness.read_plan(NbdDisk(broken), 4 * MIB, "full"))
        assert secret not in str(caught.value)


def _received(data: bytes) -> list[tuple[int, int]]:
    reading, writing = os.pipe()
    thread = harness.in_thread(lambda: _write_all(writing, data))
    try:
        _, spool = receive(reading)
        return list(spool)
    finally:
        thread.join()


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.close(descriptor)


def test_the_plan_arrives_whole_or_not_at_all() -> None:
    plan = harness.read_plan(NbdDisk("nbd://localhost"), MIB, "cbt")
    passed = [(number * 1024, 512) for number in range(10_000)]
    whole = b"".join(wire.pack(plan, iter(passed)))
    assert _received(whole) == passed
    for length in (0, 2, 100, len(whole) - 1, len(whole) - 16, len(whole) - 24, len(whole) - 8000):
        with pytest.raises(PlanError, match="cut off"):
            _received(whole[:length])
    assert extents.total(passed) == 10_000 * 512


def _open_files(pid: int) -> list[str]:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return found


def _peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KIB
    raise AssertionError("no VmHWM")
