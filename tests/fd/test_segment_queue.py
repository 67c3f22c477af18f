# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The order of segments, and what becomes of movers that were started ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bareos_vmsnap import errors
from bareos_vmsnap.fd.items import SegmentFile
from bareos_vmsnap.fd.segment_queue import SegmentQueue
from bareos_vmsnap.mover.client.launch import Interpreter
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import method_ladder, plan_backup
from tests.mover import harness
from tests.mover.harness import MIB
from tests.tree import trees


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskDescription]:
    path = harness.image(tmp_path, "disk", harness.disk(4 * MIB))
    with harness.nbdkit(tmp_path, "-r", "file", str(path)) as endpoint:
        yield endpoint


def queue_of(disk: DiskDescription, refused: str = "") -> tuple[SegmentQueue, list[str]]:
    """The queue of a tree's four segments, one of which cannot be made; their names in order."""
    plan = plan_backup.plan(
        trees.observed("A\n  B\n    C *\n"), trees.job(), method_ladder.Policy()
    )

    def make(task: plan_backup.Task) -> SegmentFile:
        if refused and refused in task.segment.name:
            raise errors.BackupError("no way to read it")
        reading = harness.read_plan(disk, 4 * MIB, "full")
        return SegmentFile(task.segment, task.rungs[0], reading, (), 0, 0)

    return SegmentQueue(plan.tasks, make, Interpreter()), [task.segment.name for task in plan.tasks]


def test_every_segment_comes_once_and_whole(disk: DiskDescription) -> None:
    queue, names = queue_of(disk)
    got = []
    while (item := queue.take()) is not None:
        with queue.start(item) as mover:
            mover.wait_ready(harness.TIMEOUT)
            queue.prepare()
            data = harness.receive(mover)
            assert mover.finish(harness.TIMEOUT).stream_bytes == len(data)
        got.append(item.name)
    assert got == names
    assert queue.take() is None


def test_one_that_is_taken_and_not_started_is_given_up(disk: DiskDescription) -> None:
    queue, names = queue_of(disk)
    first = queue.take()
    assert first is not None
    with queue.start(first):
        queue.prepare()
    assert queue.take() is not None
    later = queue.take()
    assert later is not None
    assert later.name == names[2]
    queue.close()


def test_what_is_wrong_with_the_next_one_is_reported_in_its_turn(disk: DiskDescription) -> None:
    queue, _ = queue_of(disk, refused="-B/scsi")
    first = queue.take()
    assert first is not None
    with queue.start(first) as mover:
        queue.prepare()
        harness.receive(mover)
        mover.finish(harness.TIMEOUT)
    with pytest.raises(errors.BackupError, match="no way to read it"):
        queue.take()


def test_closing_kills_what_waits(disk: DiskDescription) -> None:
    queue, _ = queue_of(disk)
    first = queue.take()
    assert first is not None
    with queue.start(first):
        queue.prepare()
        waiting = queue._prepared
        assert waiting is not None and waiting.mover is not None
        waiting.mover.wait_ready(harness.TIMEOUT)
        pid = waiting.mover._process.pid
        assert harness.is_running(pid)
        queue.close()
        harness.wait_until(lambda: not harness.is_running(pid))
    queue.close()
