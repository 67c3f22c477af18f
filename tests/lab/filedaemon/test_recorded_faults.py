# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What each fault of a plugin does to a job, against recordings of a real bareos-fd.

The recordings were made with the tracer plugin in a bareos-fd 25.1.0 (Debian 12, CPython 3.11.2):
job status, files in the catalog, and every call the plugin got.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer

_RECORDED = Path(__file__).parent / "recorded"
_BACKUP = json.loads((_RECORDED / "backup-faults.json").read_text())
_RESTORE = json.loads((_RECORDED / "restore-faults.json").read_text())
_EVENTS = [6, 14]  # bEventEndRestoreJob, bEventCancelCommand


def _name(row: dict[str, Any]) -> str:
    return str(row["name"])


@pytest.mark.parametrize("row", _BACKUP["rows"], ids=_name)
def test_backup(row: dict[str, Any], fd: FileDaemon, script: tracer.Script) -> None:
    plugin = script.write(*_BACKUP["items"], faults=row["faults"], events=_EVENTS)
    result = fd.backup(plugin)
    assert result.status == row["status"]
    assert [tracer.compact(call) for call in script.calls()] == row["calls"]
    assert [file.name for file in fd.files(result.jobid)] == row["files"]
    assert result.crash is None


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[FileDaemon, tracer.Script, int]:
    """A backup that is restored over and over."""
    folder = tmp_path_factory.mktemp("saved")
    script = tracer.Script(folder)
    fd = FileDaemon(folder / "fd", plugin_path=tracer.PLUGINS)
    return fd, script, fd.backup(script.write(*_RESTORE["items"])).jobid


@pytest.mark.parametrize("row", _RESTORE["rows"], ids=_name)
def test_restore(row: dict[str, Any], saved: tuple[FileDaemon, tracer.Script, int]) -> None:
    fd, script, jobid = saved
    script.write(faults=row["faults"], events=_EVENTS)
    result = fd.restore([jobid], where="/restore")
    assert result.status == row["status"]
    assert [tracer.compact(call) for call in script.calls()] == row["calls"]
    assert script.digests() == row["restored"]
    assert result.crash is None
