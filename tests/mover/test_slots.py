# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The budget of connections: many processes, no more than allowed, nobody stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.mover.child.slots import Slots
from bareos_vmsnap.mover.client.mover import Mover, MoverError
from bareos_vmsnap.transport.disks import ConnectionLimit, DiskDescription

from . import harness
from .harness import MIB

pytestmark = pytest.mark.usefixtures("both_launchers")

SIZE = 8 * MIB  # more than the pipe takes


def scope(folder: Path, limit: int, name: str = "ESXi host a/b", rank: int = 0) -> ConnectionLimit:
    return ConnectionLimit(rank, name, limit, str(folder))


def limits(folder: Path, limit: int) -> tuple[ConnectionLimit, ...]:
    return (scope(folder, limit),)


def test_slots_are_counted_and_freed(tmp_path: Path) -> None:
    host = scope(tmp_path, 3)
    first, second = Slots(), Slots()
    first.take({host: 2})
    assert second.take_more({host: 1})
    assert not second.take_more({host: 1})
    assert not first.take_more({host: 1})
    first.release()
    assert second.take_more({host: 2})
    second.release()


def test_where_one_scope_is_full_nothing_of_another_is_kept(tmp_path: Path) -> None:
    host, vcenter = scope(tmp_path, 5), scope(tmp_path, 1, "vCenter v", 1)
    one, other = Slots(), Slots()
    one.take({host: 1, vcenter: 1})
    assert not other.take_more({host: 4, vcenter: 1})
    third = Slots()
    third.take({host: 4})
    for slots in (one, third):
        slots.release()


def test_more_than_there_can_ever_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="2 connections at once are needed, ESXi host a/b may"):
        Slots().take({scope(tmp_path, 1): 2})


# Whole lines in one call: with PYTHONUNBUFFERED, print takes two, and others come between.
_WORKER = """
    import os, random, sys, time
    from bareos_vmsnap.mover.child.slots import Slots
    from bareos_vmsnap.transport.disks import ConnectionLimit
    folder, seed = sys.argv[1], int(sys.argv[2])
    dice = random.Random(seed)
    host = [ConnectionLimit(0, f"host {n}", 3, folder) for n in range(2)]
    vcenter = ConnectionLimit(1, "vcenter", 4, folder)
    for _ in range(6):
        mine, count = Slots(), dice.choice((1, 2))
        wanted = {dice.choice(host): count, vcenter: count}
        mine.take(wanted)
        got = count + (count if dice.random() < 0.5 and mine.take_more(wanted) else 0)
        os.write(1, f"+{got}\\n".encode())
        time.sleep(dice.random() * 0.02)
        os.write(1, f"-{got}\\n".encode())
        mine.release()
"""


def test_processes_that_want_one_or_two_never_block_each_other(tmp_path: Path) -> None:
    """Each holds what others want; with half of each taken they would wait for ever."""
    script = textwrap.dedent(_WORKER)
    log = tmp_path / "log"
    with log.open("ab") as out:
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(tmp_path / "slots"), str(seed)], stdout=out
            )
            for seed in range(8)
        ]
        assert [worker.wait(harness.TIMEOUT) for worker in workers] == [0] * 8
    taken, most = 0, 0
    for line in log.read_text().split():
        taken += int(line)
        most = max(most, taken)
    assert taken == 0
    # What is said after a release may come after another one's "+": the last slots overlap.
    assert most >= 2


def test_never_more_than_the_limit(tmp_path: Path) -> None:
    host, held, most = scope(tmp_path, 3), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        for _ in range(10):
            mine = Slots()
            mine.take({host: 1})
            with lock:
                held[0] += 1
                most[0] = max(most[0], held[0])
            time.sleep(0.001)
            with lock:
                held[0] -= 1
            mine.release()

    threads = [harness.in_thread(work) for _ in range(6)]
    for thread in threads:
        thread.join()
    assert 2 <= most[0] <= 3


def test_a_killed_process_leaves_no_slot_taken(tmp_path: Path) -> None:
    script = (
        "import sys, time; from bareos_vmsnap.mover.child.slots import Slots;"
        "from bareos_vmsnap.transport.disks import ConnectionLimit; s = Slots();"
        "s.take({ConnectionLimit(0, 'ESXi host a/b', 1, sys.argv[1]): 1}); print('has', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"has\n"
    mine, host = Slots(), scope(tmp_path, 1)
    assert not mine.take_more({host: 1})
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    mine.take({host: 1})
    mine.release()


def disk(tmp_path: Path, limit: int) -> DiskDescription:
    image = harness.image(tmp_path, "disk", harness.disk(SIZE), "qcow2")
    return replace(harness.qcow2(image), limits=limits(tmp_path / "slots", limit))


def test_a_mover_waits_for_its_turn_and_says_so(tmp_path: Path) -> None:
    plan = harness.read_plan(disk(tmp_path, 1), SIZE, "full", compression="none")
    said: list[str] = []
    with Mover.read(plan) as first:
        first.wait_ready(harness.TIMEOUT, inform=said.append)
        assert said == []
        with Mover.read(plan) as second:
            waiting = harness.in_thread(lambda: second.wait_ready(6, inform=said.append))
            time.sleep(7)  # longer than a disk may take to open
            assert said == [
                "waiting for a free connection to ESXi host a/b: other jobs have all of them"
            ]
            harness.receive(first)
            first.finish(harness.TIMEOUT)
            waiting.join()
            assert said[1].startswith("waited ")
            assert said[1].endswith(" s for a connection to ESXi host a/b")
            harness.receive(second)
            second.finish(harness.TIMEOUT)


def test_a_mover_that_waits_is_killed_by_a_cancel(tmp_path: Path) -> None:
    plan = harness.read_plan(disk(tmp_path, 1), SIZE, "full", compression="none")
    canceled = threading.Event()
    with Mover.read(plan) as first:
        first.wait_ready(harness.TIMEOUT)
        with Mover.read(plan) as second:
            threading.Timer(1, canceled.set).start()
            begun = time.monotonic()
            with pytest.raises(MoverError) as caught:
                second.wait_ready(harness.TIMEOUT, canceled=canceled.is_set)
            assert caught.value.id == "mover-killed"
            assert time.monotonic() - begun < harness.TIMEOUT / 2
            assert not harness.is_running(second._process.pid)


def test_a_mover_that_waits_ends_with_its_parent(tmp_path: Path) -> None:
    endpoint = disk(tmp_path, 1)
    script = textwrap.dedent(
        f"""
        import time
        {harness.IMPORTS}
        mover = Mover.read(ReadPlan({endpoint!r}, None, {SIZE}, "full"))
        print(mover._process.pid, flush=True)
        mover.wait_ready(60)
        """
    )
    holder = Slots()
    holder.take({endpoint.limits[0]: 1})
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    time.sleep(1)
    assert harness.is_running(pid)
    parent.kill()
    parent.wait()
    harness.wait_until(lambda: not harness.is_running(pid))
    holder.release()


def test_a_comparison_takes_two_at_once(tmp_path: Path) -> None:
    source = disk(tmp_path, 2)
    plan = harness.read_plan(source, SIZE, "compare", base=source, connections=4)
    with Mover.read(plan) as mover:
        mover.wait_ready(harness.TIMEOUT)
        # None is left for more connections, so there is one worker.
        assert not Slots().take_more({source.limits[0]: 1})
        harness.receive(mover)
        mover.finish(harness.TIMEOUT)
    with pytest.raises(MoverError, match="2 connections at once are needed"):
        harness.backup(
            replace(
                plan,
                source=replace(source, limits=limits(tmp_path, 1)),
                base=replace(source, limits=limits(tmp_path, 1)),
            )
        )
