# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""bconsole's estimate: no StartBackupJob, no data, no job in the catalog."""

from __future__ import annotations

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import directory, regular, restore_object

_ITEMS = [
    restore_object("o"),
    directory("/@D/"),
    regular("/@D/a", 600_000),
    regular("/@D/b", declared=7_000_000),
]


def test_calls(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.estimate(script.write(*_ITEMS))
    assert (result.jobid, result.status, result.bytes) == (0, "T", 7_600_000)
    assert result.name.startswith("-Console-.")
    assert [file.name for file in result.files] == ["/@D/", "/@D/a", "/@D/b"]
    assert [call.label for call in result.trace] == [
        "load_bareos_plugin",
        "parse_plugin_definition",
        "handle_plugin_event bEventEndFileSet",
        "parse_plugin_definition",
        *["start_backup_file", "end_backup_file"] * 4,
        "handle_plugin_event bEventJobEnd",
    ]
    assert fd.jobs() == []
    assert list(fd.volume_path(0).parent.iterdir()) == []


def test_messages_have_no_effect(fd: FileDaemon, script: tracer.Script) -> None:
    faults = [{"at": "start_backup_file", "nth": 2, "message": "M_FATAL"}]
    result = fd.estimate(script.write(*_ITEMS, faults=faults))
    assert (result.status, len(result.files)) == ("T", 3)
    assert "M_FATAL" in [message.type for message in result.messages]


@pytest.mark.parametrize("fault", [{"return": 2}, {"return": 7}, {"return": 1}, {"raise": True}])
def test_whatever_is_not_ok_ends_it(
    fault: dict[str, object], fd: FileDaemon, script: tracer.Script
) -> None:
    faults = [{"at": "start_backup_file", "nth": 3, **fault}]
    result = fd.estimate(script.write(*_ITEMS, faults=faults))
    assert [file.name for file in result.files] == ["/@D/"]
    assert result.trace[-1].label == "handle_plugin_event bEventJobEnd"
