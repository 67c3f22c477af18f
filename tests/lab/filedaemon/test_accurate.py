# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Accurate=yes: the plugin is asked about every file it did not offer."""

from __future__ import annotations

import time

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import directory, regular

_NOW = int(time.time())
_FULL = [
    directory("/@A/", mtime=_NOW),
    regular("/@A/keep", mtime=_NOW),
    regular("/@A/drop", mtime=_NOW),
    regular("/@A/same", mtime=_NOW),
]


@pytest.fixture
def full(fd: FileDaemon, script: tracer.Script) -> int:
    return fd.backup(script.write(*_FULL), accurate=True).jobid


def _checked(script: tracer.Script) -> list[str]:
    return sorted(call["fname"] for call in script.calls() if call["call"] == "check_file")


def test_check_file_decides(fd: FileDaemon, script: tracer.Script, full: int) -> None:
    items = [regular("/@A/new"), regular("/@A/same", mtime=_NOW)]
    plugin = script.write(*items, keep=["/@A/", "/@A/keep"])
    result = fd.backup(plugin, level="Incremental", accurate=True)
    assert _checked(script) == ["/@A/", "/@A/drop", "/@A/keep"]
    labels = [call.label for call in result.trace]
    assert labels.index("check_file") > max(
        number for number, label in enumerate(labels) if label == "end_backup_file"
    )
    assert labels[-2:] == [
        "handle_plugin_event bEventEndBackupJob",
        "handle_plugin_event bEventJobEnd",
    ]
    stored = {file.name: file.file_index for file in fd.files(result.jobid)}
    assert stored == {"/@A/new": 1, "/@A/drop": 0}  # 0: gone
    script.write()
    restored = fd.restore()
    assert {file.name for file in restored.files} == {"/@A/", "/@A/keep", "/@A/same", "/@A/new"}


@pytest.mark.parametrize("returned", [0, 2, 7])
def test_everything_but_seen_drops_the_file(
    returned: int, fd: FileDaemon, script: tracer.Script, full: int
) -> None:
    faults = [{"at": "check_file", "nth": n, "return": returned} for n in range(1, 5)]
    result = fd.backup(
        script.write(keep=["/@A/keep"], faults=faults), level="Incremental", accurate=True
    )
    assert len([file for file in result.files if file.file_index == 0]) == 4


def test_after_a_failure_nothing_is_asked(fd: FileDaemon, script: tracer.Script, full: int) -> None:
    faults = [{"at": "end_backup_file", "message": "M_FATAL"}]
    plugin = script.write(regular("/@A/new"), faults=faults)
    assert fd.backup(plugin, level="Incremental", accurate=True).status == "f"
    assert _checked(script) == []


def test_differential_asks_for_the_fulls_files(
    fd: FileDaemon, script: tracer.Script, full: int
) -> None:
    fd.backup(script.write(regular("/@A/i")), level="Incremental")
    fd.backup(script.write(), level="Differential", accurate=True)
    assert _checked(script) == ["/@A/", "/@A/drop", "/@A/keep", "/@A/same"]


def test_without_accurate_nothing_is_asked(
    fd: FileDaemon, script: tracer.Script, full: int
) -> None:
    fd.backup(script.write(regular("/@A/new")), level="Incremental")
    assert _checked(script) == []


def test_changed_size_is_a_change(fd: FileDaemon, script: tracer.Script, full: int) -> None:
    plugin = script.write(regular("/@A/same", 2000, mtime=_NOW))
    result = fd.backup(plugin, level="Incremental", accurate=True)
    assert [file.name for file in result.files if file.file_index] == ["/@A/same"]
