# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What Incremental and Differential jobs build on: restore objects, times, unchanged files."""

from __future__ import annotations

import time

import pytest

from vmsnap_lab.filedaemon import FileDaemon, JobResult

from . import tracer
from .tracer import regular, restore_object


def _job(
    fd: FileDaemon, script: tracer.Script, level: str, *items: tracer.Item, **more: object
) -> tuple[JobResult, list[str]]:
    """A job and the restore objects it got."""
    result = fd.backup(script.write(*items, **more), level=level)
    names = [call["name"] for call in script.calls() if call["call"] == "restore_object_data"]
    return result, names


def test_objects_come_from_the_base(fd: FileDaemon, script: tracer.Script) -> None:
    config = {**restore_object("config"), "kind": "config"}
    _job(fd, script, "Full", config, restore_object("F2", 2), restore_object("F1", 1))
    _, got = _job(fd, script, "Incremental", restore_object("I", 1))
    assert got == ["F1", "F2", "config"]
    _, got = _job(fd, script, "Differential", restore_object("D", 1))
    assert got == ["F1", "F2", "config"]
    _, got = _job(fd, script, "Incremental", regular("/@T/a"))
    assert got == ["D"]
    _, got = _job(fd, script, "Incremental", regular("/@T/b"))
    assert got == []  # its base saved none; no older one stands in


def test_failed_and_canceled_jobs_are_no_base(fd: FileDaemon, script: tracer.Script) -> None:
    _job(fd, script, "Full", restore_object("F"))
    faults = [{"at": "end_backup_file", "message": "M_FATAL"}]
    failed, _ = _job(fd, script, "Incremental", restore_object("bad"), faults=faults)
    assert failed.status == "f"
    assert fd.restore_objects(failed.jobid) == []
    _, got = _job(fd, script, "Incremental", restore_object("I"))
    assert got == ["F"]


def test_job_with_warnings_is_a_base(fd: FileDaemon, script: tracer.Script) -> None:
    _job(fd, script, "Full", restore_object("F"))
    faults = [{"at": "end_backup_file", "message": "M_ERROR"}]
    warned, _ = _job(fd, script, "Incremental", restore_object("W"), faults=faults)
    assert warned.status == "W"
    _, got = _job(fd, script, "Incremental", regular("/@T/a"))
    assert got == ["W"]


def test_objects_come_back_as_they_were(fd: FileDaemon, script: tracer.Script) -> None:
    _job(fd, script, "Full", restore_object("small"), restore_object("large", size=300_000))
    _job(fd, script, "Incremental", regular("/@T/a"))
    got = [call for call in script.calls() if call["call"] == "restore_object_data"]
    assert [(call["length"], call["same"], call["jobid"]) for call in got] == [
        (50, True, 1),
        (300_000, True, 1),
    ]


def test_old_files_are_left_out(fd: FileDaemon, script: tracer.Script) -> None:
    _job(fd, script, "Full", regular("/@T/a"))
    old = int(time.time()) - 1000
    result, _ = _job(fd, script, "Incremental", regular("/@T/old", mtime=old), regular("/@T/new"))
    assert [file.name for file in result.files] == ["/@T/new"]
    labels = script.labels()
    assert labels.count("plugin_io IO_OPEN") == 1
    assert labels.count("end_backup_file") == 2


@pytest.mark.parametrize("ahead", [0, 3600])
@pytest.mark.parametrize("level", ["Full", "Incremental"])
def test_values_of_the_job(level: str, ahead: int, fd: FileDaemon) -> None:
    """The time since which files count is in the daemon's own clock."""
    first = fd.backup("python3:module_name=lab-values:x=1")
    fd.clock_ahead = ahead
    result = fd.backup("python3:module_name=lab-values:x=1", level=level)
    values = dict(
        message.text.partition("=")[::2] for message in result.messages if "=" in message.text
    )
    incremental = level == "Incremental"
    assert values["constructor bVarLevel"] == str(ord(level[0]))
    assert values["constructor bVarType"] == str(ord("I"))
    assert values["start bVarType"] == str(ord("B"))
    assert values["constructor bVarJobId"] == str(result.jobid)
    assert values["constructor bVarJobName"] == repr(result.name)
    assert values["constructor bVarPrevJobName"] == repr(first.name if incremental else "")
    since = int(fd.job(first.jobid).start_time) + ahead if incremental else 0
    assert values["constructor bVarSinceTime"] == str(since)
    assert values["constructor bVarWhere"] == "None"
    assert values["constructor bVarUsedConfig"] == repr(f"{fd.config_dir}/*/*.conf")
    assert values["constructor bVarAccurate"] == "0"


def test_without_a_full_it_becomes_one(fd: FileDaemon, script: tracer.Script) -> None:
    result, _ = _job(fd, script, "Incremental", regular("/@T/a"))
    assert result.level == "F"
    assert fd.job(result.jobid).level == "F"


def test_jobs_of_another_name_are_no_base(fd: FileDaemon, script: tracer.Script) -> None:
    fd.backup(script.write(restore_object("F")), name="one")
    result = fd.backup(script.write(regular("/@T/a")), name="two", level="Incremental")
    assert result.level == "F"


def test_base_can_be_chosen(fd: FileDaemon, script: tracer.Script) -> None:
    first, _ = _job(fd, script, "Full", restore_object("F"))
    _job(fd, script, "Incremental", restore_object("I"))
    fd.backup(script.write(), level="Incremental", base=first.jobid)
    assert [call["name"] for call in script.calls() if "name" in call] == ["F"]


def test_unknown_level(fd: FileDaemon) -> None:
    with pytest.raises(ValueError, match="level"):
        fd.backup("python3:module_name=lab-values", level="Sometimes")
