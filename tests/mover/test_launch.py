# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The fork server and the movers it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Optional

import pytest

from bareos_vmsnap.mover.client.launch import ForkServerClient
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.transport.disks import DiskDescription

from . import harness
from .harness import MIB

SIZE = 8 * MIB  # more than the pipe takes
CONTENT = harness.disk(SIZE)


@pytest.fixture
def local(tmp_path: Path) -> DiskDescription:
    return harness.qcow2(harness.image(tmp_path, "disk", CONTENT, "qcow2"))


@pytest.fixture
def server() -> Iterator[ForkServerClient]:
    made = ForkServerClient()
    made.prepare()
    yield made
    made.close()


def pid_of(server: ForkServerClient) -> int:
    assert server._process is not None
    return server._process.pid


def check_whole(mover: Mover) -> None:
    """The segment has all of the disk."""
    assert harness.applied(harness.receive(mover), b"", SIZE) == CONTENT
    mover.finish(harness.TIMEOUT)


def test_several_at_a_time_and_one_after_another(
    local: DiskDescription, server: ForkServerClient
) -> None:
    plan = harness.read_plan(local, SIZE, "full", compression="none")
    pid = pid_of(server)
    for _ in range(3):
        with Mover.read(plan, launcher=server) as first, Mover.read(plan, launcher=server) as other:
            for mover in (other, first):
                check_whole(mover)
    assert pid_of(server) == pid


def test_one_is_killed_and_the_others_go_on(
    local: DiskDescription, server: ForkServerClient
) -> None:
    plan = harness.read_plan(local, SIZE, "full", compression="none")
    with Mover.read(plan, launcher=server) as first, Mover.read(plan, launcher=server) as other:
        first.wait_ready(harness.TIMEOUT)
        os.kill(first._process.pid, signal.SIGKILL)
        with pytest.raises(MoverError, match="ended without a report.*killed by SIGKILL"):
            first.finish(harness.TIMEOUT)
        check_whole(other)


def test_a_mover_that_ignores_being_ended(local: DiskDescription, server: ForkServerClient) -> None:
    """Its server ends as well, which nobody but the mover knows."""
    plan = harness.read_plan(local, SIZE, "full", compression="none")
    with Mover.read(plan, launcher=server) as mover:
        mover.wait_ready(harness.TIMEOUT)
        pid = mover._process.pid
        [nbd] = harness.children_of(pid)
        os.kill(pid, signal.SIGSTOP)
        mover.kill()
        assert not harness.is_running(pid)
        harness.wait_until(lambda: not harness.is_running(nbd))


def test_the_fork_server_is_killed(local: DiskDescription, server: ForkServerClient) -> None:
    """Its movers cannot be vouched for any more; the next one gets a new server."""
    plan = harness.read_plan(local, SIZE, "full", compression="none")
    with Mover.read(plan, launcher=server) as mover:
        mover.wait_ready(harness.TIMEOUT)
        pid = mover._process.pid
        os.kill(pid_of(server), signal.SIGKILL)
        harness.receive(mover)
        with pytest.raises(MoverError, match="did not end well.*process that started it is gone"):
            mover.finish(harness.TIMEOUT)
        harness.wait_until(lambda: not harness.is_running(pid))
    with Mover.read(plan, launcher=server) as mover:
        check_whole(mover)


def test_it_ends_with_its_client() -> None:
    script = """if True:
        import time
        from bareos_vmsnap.mover.client.launch import ForkServerClient
        server = ForkServerClient()
        server.prepare()
        print(server._process.pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert harness.is_running(pid)
        parent.kill()
    harness.wait_until(lambda: not harness.is_running(pid))


def test_close_ends_it_and_may_be_repeated(server: ForkServerClient) -> None:
    server.close()
    before = len(os.listdir("/proc/self/fd"))
    server.prepare()
    pid = pid_of(server)
    server.close()
    server.close()
    assert not harness.is_running(pid)
    assert len(os.listdir("/proc/self/fd")) == before


class Hanging:
    """A mover that no signal ends, as one that waits in the kernel."""

    pid = 0

    def __init__(self) -> None:
        self.signals: list[str] = []

    def start(self, pipes: Sequence[int], scratch: str, stderr: BinaryIO) -> Hanging:
        return self

    def poll(self) -> Optional[int]:
        return None

    def wait(self, timeout: float) -> int:
        raise subprocess.TimeoutExpired("mover", timeout)

    def terminate(self) -> None:
        self.signals.append("TERM")

    def kill(self) -> None:
        self.signals.append("KILL")

    def ending(self) -> str:
        return ""


def test_what_cannot_be_killed_does_not_keep_others_from_cleaning_up() -> None:
    hanging = Hanging()
    with Mover(reads=True, launcher=hanging) as mover:
        mover.kill()
    assert hanging.signals[:2] == ["TERM", "KILL"]
