# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs that are canceled, and file daemons that are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from vmsnap_lab.filedaemon import Cancel, FileDaemon, JobResult

from . import tracer
from .tracer import regular, restore_object

_EVENTS = [6, 14]  # bEventEndRestoreJob, bEventCancelCommand
_CANCELED = "handle_plugin_event bEventCancelCommand"
_IN_TIME = 2  # seconds that a call of the plugin lasts so that the cancel comes within it
_ENDED = "handle_plugin_event bEventEndBackupJob"


def _labels(result: JobResult) -> list[str]:
    return [call.label for call in result.trace]


def _after_cancel(result: JobResult) -> list[str]:
    labels = _labels(result)
    return labels[labels.index(_CANCELED) + 1 :]


@pytest.mark.parametrize(
    ("at", "follows"),
    [
        ("handle_plugin_event bEventStartBackupJob", [_ENDED]),
        ("start_backup_file", ["end_backup_file", _ENDED]),
        ("plugin_io IO_OPEN", ["plugin_io IO_CLOSE", "end_backup_file", _ENDED]),
        (
            "plugin_io IO_READ",  # of a large file one block more is asked for
            ["plugin_io IO_READ", "plugin_io IO_CLOSE", "end_backup_file", _ENDED],
        ),
        ("end_backup_file", [_ENDED]),
        (_ENDED, []),
    ],
)
def test_backup(at: str, follows: list[str], fd: FileDaemon, script: tracer.Script) -> None:
    faults = [{"at": at, "sleep": _IN_TIME}]
    items = [regular("/@S/x", 600_000), regular("/@S/y")]
    result = fd.backup(script.write(*items, faults=faults, events=_EVENTS), cancel=Cancel(at))
    assert result.status == "A"
    assert _after_cancel(result) == follows
    event = next(call for call in result.trace if call.label == _CANCELED)
    assert event.thread == "cancel"
    assert fd.files(result.jobid) == []
    ended = [call["status"] for call in script.calls() if call["call"] == _ENDED]
    assert at == _ENDED or ended == ["A"]


def test_read_of_the_core_is_interrupted(fd: FileDaemon, script: tracer.Script) -> None:
    command = ["sh", "-c", "head -c 500000 /dev/zero; exec sleep 5"]
    item = regular("/@S/x", 3_000_000, via="pipe", command=command)
    began = time.monotonic()
    cancel = Cancel(stored=262144)
    result = fd.backup(script.write(item, regular("/@S/y"), events=_EVENTS), cancel=cancel)
    assert result.status == "A"
    assert _after_cancel(result) == ["plugin_io IO_CLOSE", "end_backup_file", _ENDED]
    assert time.monotonic() - began > 4.5  # the plugin's own wait for its feeder is not interrupted


class Looking(Cancel):
    """Does not cancel, but sees how many blocks were read when the first was stored, and later."""

    def __init__(self, script: tracer.Script) -> None:
        super().__init__(stored=262144)
        self._script = script
        self.seen: list[int] = []

    def reached(self) -> None:
        for pause in (0, 0.3):
            time.sleep(pause)
            self.seen.append(self._script.labels().count("plugin_io IO_READ"))


def test_a_job_whose_data_are_watched_waits(fd: FileDaemon, script: tracer.Script) -> None:
    looking = Looking(script)
    assert fd.backup(script.write(regular("/@S/x", 600_000)), cancel=looking).status == "T"
    assert looking.seen == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    "at",
    [
        "handle_plugin_event bEventStartRestoreJob",
        "create_file",
        "plugin_io IO_WRITE",
        "set_file_attributes",
        "end_restore_file",
    ],
)
def test_restore(at: str, fd: FileDaemon, script: tracer.Script) -> None:
    items = [restore_object("o"), regular("/@S/x", 600_000), regular("/@S/y")]
    job = fd.backup(script.write(*items)).jobid
    script.write(faults=[{"at": at, "sleep": _IN_TIME}], events=_EVENTS)
    result = fd.restore([job], cancel=Cancel(at))
    assert result.status == "A"
    assert _labels(result)[-1] == "handle_plugin_event bEventEndRestoreJob"
    assert script.calls()[-1]["status"] == "A"
    labels = _labels(result)
    assert labels.count("start_restore_file") == labels.count("end_restore_file")
    assert labels.count("create_file") < 2


def test_cancel_on_request(fd: FileDaemon, script: tracer.Script) -> None:
    cancel = Cancel()
    faults = [{"at": "plugin_io IO_OPEN", "sleep": 2 * _IN_TIME}]
    timer = threading.Timer(_IN_TIME, cancel.request)
    timer.start()
    result = fd.backup(script.write(regular("/@S/x"), faults=faults), cancel=cancel)
    timer.join()
    assert result.status == "A"
    assert _CANCELED not in _labels(result)  # the plugin did not ask for it


def test_request_before_the_job(fd: FileDaemon, script: tracer.Script) -> None:
    cancel = Cancel()
    cancel.request()
    faults = [{"at": "parse_plugin_definition", "sleep": _IN_TIME}]
    result = fd.backup(script.write(regular("/@S/x"), faults=faults), cancel=cancel)
    assert result.status == "A"
    assert "start_backup_file" not in _labels(result)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_file_daemon(number: int, fd: FileDaemon, script: tracer.Script) -> None:
    items = [restore_object("o"), regular("/@S/x"), regular("/@S/y")]
    faults = [{"at": "plugin_io IO_OPEN", "sleep": 5}]
    cancel = Cancel("plugin_io IO_OPEN", signal=number)
    result = fd.backup(script.write(*items, faults=faults, events=_EVENTS), cancel=cancel)
    assert result.status == "f"
    assert result.crash == signal.Signals(number).name
    last = result.trace[-1]
    assert (last.label, last.result, last.raised) == ("plugin_io IO_OPEN", None, None)
    assert fd.files(result.jobid) == []
    assert [found.name for found in fd.restore_objects(result.jobid)] == ["o"]
    _, got = fd.backup(script.write(), level="Incremental"), script.labels()
    assert "restore_object_data" not in got


def test_feeders_outlive_a_killed_file_daemon(
    fd: FileDaemon, script: tracer.Script, tmp_path: Any
) -> None:
    pid_file = tmp_path / "pid"
    command = ["sh", "-c", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60"]
    item = regular("/@S/x", via="pipe", command=command)
    cancel = Cancel(signal=signal.SIGKILL)

    def kill_once_it_feeds() -> None:
        while not pid_file.exists():
            time.sleep(0.01)
        cancel.request()

    killer = threading.Thread(target=kill_once_it_feeds)
    killer.start()
    assert fd.backup(script.write(item), cancel=cancel).status == "f"
    killer.join()
    pid = int(pid_file.read_text())
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
