# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Every step of a cleanup is done, whatever the others do; a file daemon knows itself."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

from bareos_vmsnap import errors
from bareos_vmsnap.fd import daemon_identity
from bareos_vmsnap.fd.cleanup_steps import undo


def test_a_failing_step_keeps_no_other_from_being_done() -> None:
    done: list[str] = []
    reported: list[tuple[str, str, tuple[str, ...]]] = []

    def report(id: str, text: str, *causes: str) -> None:
        reported.append((id, text, causes))

    def unlock() -> None:
        done.append("unlock")

    def log_out() -> None:
        done.append("log out")
        raise StopIteration

    def delete() -> None:
        done.append("delete")
        raise errors.BackupError("the disk is locked", id="task-failed")

    with contextlib.suppress(LookupError), contextlib.ExitStack() as stack:
        for what, step in (("Unlocking", unlock), ("Logging out", log_out), ("Deleting", delete)):
            stack.callback(undo, report, what, step)
        raise LookupError("why the cleanup is done: it is not replaced by another failure")
    assert done == ["delete", "log out", "unlock"]
    assert [(id, causes) for id, _, causes in reported] == [
        ("cleanup-failed", ("task-failed",)),
        ("cleanup-failed", ("unexpected",)),
    ]
    assert "Deleting failed: the disk is locked" in reported[0][1]
    assert "StopIteration" in reported[1][1]


def test_a_file_daemon_is_the_same_in_every_job(tmp_path: Path) -> None:
    found: list[str] = []

    def job() -> None:
        found.append(daemon_identity.find("proxy", tmp_path).id)

    jobs = [threading.Thread(target=job) for _ in range(8)]
    for each in jobs:
        each.start()
    for each in jobs:
        each.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 16


def test_others_are_others(tmp_path: Path) -> None:
    """Also with one host name, and if the directory is a copy."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    mine = daemon_identity.find("proxy", one)
    assert daemon_identity.find("other", one).id != mine.id
    shutil.copytree(one, two)
    assert daemon_identity.find("proxy", two).id != mine.id
    shutil.rmtree(one)
    one.mkdir()
    assert daemon_identity.find("proxy", one).id != mine.id, "a container of the same image"
