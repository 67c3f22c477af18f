# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover, its parent, its servers and its reader die at the worst time: nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from bareos_vmsnap.mover.client import launch
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.transport.disks import DiskDescription, NbdDisk

from . import harness
from .harness import KIB, MIB

pytestmark = pytest.mark.usefixtures("both_launchers")

SIZE = 16 * MIB


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Temporary files of this test and of the processes it starts; all are gone in the end.

    pytest's own `tmp_path` comes first, so that it lies elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)
        harness.wait_until(lambda: os.listdir(folder) == [])


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[DiskDescription]:
    """A disk that takes half a minute to read or write; slow.log has what was asked of it."""
    path = harness.image(tmp_path, "slow", harness.disk(SIZE))
    log = f"logfile={tmp_path / 'slow.log'}"
    delays = ("delay-read=5", "delay-write=5")
    with harness.nbdkit(
        tmp_path, "--filter=log", "--filter=delay", "file", str(path), log, *delays
    ) as endpoint:
        yield endpoint


@pytest.fixture
def local(tmp_path: Path) -> DiskDescription:
    """A local image, for which the mover starts qemu-nbd."""
    return harness.qcow2(harness.image(tmp_path, "disk", harness.disk(SIZE), "qcow2"))


def wait_until_asked(tmp_path: Path, request: str) -> None:
    """Wait until the slow disk has got a request of that kind, which then is under way."""
    log = tmp_path / "slow.log"
    harness.wait_until(lambda: f" {request} " in log.read_text())


def pid_of(mover: Mover) -> int:
    return mover._process.pid


def kill_soon(mover: Mover) -> None:
    """Let it take nothing more, and kill it while others wait that it does."""
    os.kill(pid_of(mover), signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (pid_of(mover), signal.SIGKILL)).start()


def stuck_reader(endpoint: DiskDescription) -> Mover:
    """Start a mover whose data nobody reads: the pipe is full, the server runs."""
    mover = Mover.read(harness.read_plan(endpoint, SIZE, "full", compression="none"))
    mover.wait_ready(harness.TIMEOUT)
    return mover


@pytest.mark.parametrize("rate", ["1", "10%"])
def test_a_failing_read_names_the_place(tmp_path: Path, rate: str) -> None:
    path = harness.image(tmp_path, "disk", os.urandom(SIZE))
    with (
        harness.nbdkit(
            tmp_path,
            "-r",
            "--filter=error",
            "file",
            str(path),
            f"error-pread-rate={rate}",
            "error-pread=EIO",
        ) as source,
        pytest.raises(
            MoverError, match=r"NBD server .*: read of \d+ bytes at offset \d+ failed: .*EIO"
        ) as caught,
    ):
        harness.backup(harness.read_plan(source, SIZE, "full", chunk=64 * KIB))
    assert caught.value.id == "nbd-failed"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    source = NbdDisk(f"nbd+unix:///?socket={tmp_path}/nothing")
    with pytest.raises(MoverError, match="cannot connect") as caught:
        harness.backup(harness.read_plan(source, SIZE, "full"))
    assert caught.value.id == "nbd-failed"
    plan = harness.write_plan(source, SIZE)
    with Mover.write(plan) as mover, pytest.raises(MoverError, match="cannot connect"):
        mover.wait_ready(harness.TIMEOUT)


def test_the_server_is_killed_while_reading(slow: DiskDescription, tmp_path: Path) -> None:
    with Mover.read(harness.read_plan(slow, SIZE, "cbt"), [(0, SIZE)]) as mover:
        mover.wait_ready(harness.TIMEOUT)
        wait_until_asked(tmp_path, "Read")
        os.kill(harness.pid_of(slow), signal.SIGKILL)
        with pytest.raises(MoverError, match=r"NBD server .*: read of \d+ bytes at") as caught:
            mover.finish(harness.TIMEOUT)
    assert caught.value.id == "nbd-failed"


def test_the_server_is_killed_while_writing(
    slow: DiskDescription, local: DiskDescription, tmp_path: Path
) -> None:
    data, _ = harness.backup(harness.read_plan(local, SIZE, "full", compression="none"))
    with Mover.write(harness.write_plan(slow, SIZE)) as mover:
        mover.wait_ready(harness.TIMEOUT)
        core = harness.in_thread(lambda: harness.send(mover, data))
        wait_until_asked(tmp_path, "Write")
        os.kill(harness.pid_of(slow), signal.SIGKILL)
        core.join(harness.TIMEOUT)
        with pytest.raises(MoverError, match=r"NBD server .*: write of \d+ bytes at") as caught:
            mover.finish(harness.TIMEOUT)
    assert caught.value.id == "nbd-failed"


def test_a_writer_learns_that_the_mover_was_killed(slow: DiskDescription) -> None:
    """It waits for room when the other end goes away with all that was not read."""
    with Mover.write(harness.write_plan(slow, SIZE)) as mover:
        mover.wait_ready(harness.TIMEOUT)
        kill_soon(mover)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                os.write(mover.data_fd, bytes(256 * KIB))
        with pytest.raises(MoverError, match="killed by SIGKILL") as caught:
            mover.finish(harness.TIMEOUT)
    assert caught.value.id == "mover-died"


def test_a_mover_fed_from_a_file_tells_itself_why_it_ended(slow: DiskDescription) -> None:
    with Mover.write(harness.write_plan(slow, SIZE)) as mover:
        mover.wait_ready(harness.TIMEOUT)
        kill_soon(mover)
        with open("/dev/zero", "rb") as endless:
            mover.feed(endless)
        with pytest.raises(MoverError, match="killed by SIGKILL"):
            mover.finish(harness.TIMEOUT)


def test_the_mover_is_killed(local: DiskDescription) -> None:
    with stuck_reader(local) as mover:
        [server] = harness.children_of(pid_of(mover))
        os.kill(pid_of(mover), signal.SIGKILL)
        harness.receive(mover)
        with pytest.raises(MoverError, match="ended without a report .killed by SIGKILL") as caught:
            mover.finish(harness.TIMEOUT)
        assert caught.value.id == "mover-died"
        harness.wait_until(lambda: not harness.is_running(server))


def test_sigterm_ends_mover_and_server(local: DiskDescription) -> None:
    with stuck_reader(local) as mover:
        [server] = harness.children_of(pid_of(mover))
        os.kill(pid_of(mover), signal.SIGTERM)
        with pytest.raises(MoverError, match="ended by SIGTERM") as caught:
            mover.finish(harness.TIMEOUT)
        assert caught.value.id == "mover-terminated"
        harness.wait_until(lambda: not harness.is_running(server))


def test_sigint_is_left_to_the_parent(local: DiskDescription) -> None:
    with stuck_reader(local) as mover:
        os.kill(pid_of(mover), signal.SIGINT)
        harness.receive(mover)
        assert mover.finish(harness.TIMEOUT).frames


def test_nothing_is_left_behind_by_a_kill(local: DiskDescription, scratch: Path) -> None:
    with stuck_reader(local) as mover:
        [server] = harness.children_of(pid_of(mover))
        assert list(scratch.iterdir())
        thread = harness.in_thread(mover.kill)
        rest = harness.receive(mover)
        thread.join()
        assert len(rest) < SIZE
        with pytest.raises(MoverError, match="stopped before its end") as caught:
            mover.finish(harness.TIMEOUT)
        mover.kill()
    assert caught.value.id == "mover-killed"
    assert not harness.is_running(server)
    assert list(scratch.iterdir()) == []


def test_a_stopped_mover_is_killed_all_the_same(local: DiskDescription) -> None:
    with stuck_reader(local) as mover:
        [server] = harness.children_of(pid_of(mover))
        os.kill(pid_of(mover), signal.SIGSTOP)
        with pytest.raises(MoverError, match="did not end within 0 s") as caught:
            mover.finish(0.2)
    assert caught.value.id == "mover-late"
    harness.wait_until(lambda: not harness.is_running(server))


@pytest.mark.parametrize("launcher", ["Interpreter", "ForkServerClient"])
@pytest.mark.parametrize("direction", ["read", "write"])
def test_the_parent_is_killed(local: DiskDescription, direction: str, launcher: str) -> None:
    """Mover and server end with a parent that cannot tell them, and that has other children."""
    script = textwrap.dedent(
        f"""
        import subprocess, sys, time
        {harness.IMPORTS}
        launcher = {launcher}()
        if {direction!r} == "read":
            mover = Mover.read({harness.read_plan(local, SIZE, "full")!r}, launcher=launcher)
        else:
            mover = Mover.write({harness.write_plan(local, SIZE)!r}, launcher=launcher)
        mover.wait_ready(30)
        other = subprocess.Popen(["sleep", "600"], close_fds=False)
        print(mover._process.pid, other.pid, flush=True)
        time.sleep(600)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    mover, other = map(int, parent.stdout.readline().split())
    [server] = harness.children_of(mover)
    parent.kill()
    parent.wait()
    try:
        harness.wait_until(lambda: not harness.is_running(mover))
        harness.wait_until(lambda: not harness.is_running(server))
        assert harness.is_running(other)
    finally:
        os.kill(other, signal.SIGKILL)
        parent.stdout.close()


def test_a_forgotten_mover_ends(local: DiskDescription) -> None:
    mover = stuck_reader(local)
    pid = pid_of(mover)
    process = mover._process
    del mover
    process.wait(harness.TIMEOUT)
    assert not harness.is_running(pid)


def test_the_reader_goes_away(local: DiskDescription) -> None:
    with stuck_reader(local) as mover:
        os.read(mover.data_fd, 100)
        mover.close_data()
        with pytest.raises(MoverError, match="reader went away") as caught:
            mover.finish(harness.TIMEOUT)
    assert caught.value.id == "reader-gone"


def test_a_failure_is_reported_while_the_pipe_is_full(tmp_path: Path) -> None:
    """One thread fails while the others wait for a reader that comes late."""
    path = harness.image(tmp_path, "disk", os.urandom(SIZE))
    trigger = tmp_path / "fail"
    with harness.nbdkit(
        tmp_path,
        "-r",
        "--filter=error",
        "--filter=delay",
        "file",
        str(path),
        "error-pread-rate=1",
        f"error-file={trigger}",
        "rdelay=50ms",
    ) as source:
        plan = harness.read_plan(
            source, SIZE, "full", compression="none", requests_in_flight=16, connections=4
        )
        with Mover.read(plan) as mover:
            mover.wait_ready(harness.TIMEOUT)
            trigger.touch()
            time.sleep(0.3)
            harness.receive(mover)
            with pytest.raises(MoverError, match="read of"):
                mover.finish(harness.TIMEOUT)


@pytest.mark.parametrize("kind", [launch.Interpreter, launch.ForkServerClient])
def test_a_missing_module_is_named(
    local: DiskDescription,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[], launch.Launcher],
) -> None:
    (tmp_path / "nbd.py").write_text("raise ModuleNotFoundError(\"No module named 'nbd'\")\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MoverError, match="No module named 'nbd'.*python3-libnbd") as caught:
        Mover.read(harness.read_plan(local, SIZE, "full"), launcher=kind()).finish(harness.TIMEOUT)
    assert caught.value.id == "module-missing"


@pytest.mark.parametrize("kind", [launch.Interpreter, launch.ForkServerClient])
def test_a_missing_interpreter_is_named(
    local: DiskDescription, kind: Callable[[str], launch.Launcher]
) -> None:
    with pytest.raises(MoverError, match="cannot start /nowhere/python3") as caught:
        Mover.read(harness.read_plan(local, SIZE, "full"), launcher=kind("/nowhere/python3"))
    assert caught.value.id == "process-not-started"


@pytest.mark.parametrize("kind", [launch.Interpreter, launch.ForkServerClient])
def test_a_mover_that_dies_at_once(
    local: DiskDescription, kind: Callable[[str], launch.Launcher]
) -> None:
    with pytest.raises(MoverError, match="ended without a report|movers .* has ended") as caught:
        mover = Mover.read(harness.read_plan(local, SIZE, "full"), launcher=kind("/bin/false"))
        mover.finish(harness.TIMEOUT)
    assert caught.value.id == "mover-died"


def test_a_mover_that_lies(local: DiskDescription, tmp_path: Path) -> None:
    """Neither a report nor an exit status counts alone."""
    fake = tmp_path / "python"
    report = (
        '{"event": "success", "frames": 1, "data_bytes": 512, "zero_bytes": 0, "stored_bytes": 512,'
        ' "stream_bytes": %s, "digest": "' + 32 * "0" + '", "notes": []}'
    )
    lies: list[tuple[object, int, str]] = [
        (700, 0, ""),
        (700, 9, "mover-died"),
        (600, 0, "mover-report"),
        ('"700"', 0, "mover-report"),
    ]
    for size, status, id in lies:
        fake.write_text(
            f"""#!{sys.executable}
import os, sys
plan, _, reports, _ = map(int, sys.argv[3:7])
while os.read(plan, 65536):
    pass
os.write(reports, {(report % size).encode()!r} + b"\\n")
sys.exit({status})
"""
        )
        fake.chmod(0o755)
        mover = Mover.read(
            harness.read_plan(local, SIZE, "full"), launcher=launch.Interpreter(str(fake))
        )
        if not id:
            assert mover.finish(harness.TIMEOUT).frames == 1
            continue
        with pytest.raises(MoverError) as caught:
            mover.finish(harness.TIMEOUT)
        assert caught.value.id == id
