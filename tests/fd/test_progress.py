# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Lines of progress in the job log."""

from __future__ import annotations

from bareos_vmsnap.fd.progress import Progress

GIB = 1 << 30


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_reported_and_when() -> None:
    clock, messages = Clock(), list[str]()
    progress = Progress({"a": GIB, "b": GIB, "c": 20 * GIB, "d": 100 * GIB}, messages.append, clock)
    clock.now += 59
    progress.done("a", GIB, GIB // 2)
    assert messages == [], "too early"
    clock.now += 1
    progress.done("b", GIB, GIB // 2)
    assert messages == [
        "2 of 4 segments: 2.0 GiB of disks, 1.0 GiB stored, 36 MB/s, about 60 min left"
    ]
    clock.now += 140
    progress.done("c", 20 * GIB, 10 * GIB)
    assert messages[1:] == [
        "3 of 4 segments: 22.0 GiB of disks, 11.0 GiB stored, 118 MB/s, about 15 min left"
    ]
    clock.now += 1000
    progress.done("d", 100 * GIB, 0)
    assert len(messages) == 2, "the end is told by the table of what was sent"


def test_long_and_short_rests() -> None:
    clock, messages = Clock(), list[str]()
    progress = Progress({"a": 1, "b": 10**6, "c": 10**12}, messages.append, clock)
    clock.now += 60
    progress.done("a", 60 * 10**6, 0)
    clock.now += 60
    progress.done("c", 0, 0)
    assert messages[0].endswith("about 277.8 h left")
    assert messages[1].endswith("about a minute left")


def test_nothing_moved_has_no_rate() -> None:
    clock, messages = Clock(), list[str]()
    progress = Progress({"a": 1, "b": 1}, messages.append, clock)
    clock.now += 100
    progress.done("a", 0, 0)
    assert messages == ["1 of 2 segments: 0 B of disks, 0 B stored, 0 MB/s"]
