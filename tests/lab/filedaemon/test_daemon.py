# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The file daemon as a whole: several jobs at once, a directory that outlives it, listeners that fail."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vmsnap_lab.filedaemon import FileDaemon, JobResult, Message

from . import tracer
from .tracer import regular


def test_jobs_at_the_same_time(fd: FileDaemon, tmp_path: Path) -> None:
    results: dict[int, JobResult] = {}

    def back_up(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        items = [regular(f"/@D/{number}-{part}", 700_000) for part in range(3)]
        plugin = tracer.Script(folder).write(*items)
        results[number] = fd.backup(plugin, name=f"job-{number}")

    threads = [threading.Thread(target=back_up, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.jobid for result in results.values()}) == 4
    for number, result in results.items():
        assert result.status == "T"
        names = [f"/@D/{number}-{part}" for part in range(3)]
        assert [file.name for file in fd.files(result.jobid)] == names


def test_directory_outlives_the_daemon(
    fd: FileDaemon, script: tracer.Script, tmp_path: Path
) -> None:
    fd.backup(script.write(regular("/@D/a", 600)))
    later = FileDaemon(tmp_path / "fd", plugin_path=tracer.PLUGINS)
    assert [job.status for job in later.jobs()] == ["T"]
    script.write()
    assert later.restore().status == "T"
    assert len(script.restored()[0]) == 600


def test_listener_that_fails_ends_the_job(fd: FileDaemon, script: tracer.Script) -> None:
    def listen(message: Message) -> None:
        if message.origin == "plugin":
            raise KeyError("listener")

    faults = [{"at": "start_backup_file", "message": "M_INFO"}]
    plugin = script.write(regular("/@D/a", 600), faults=faults)
    with pytest.raises(KeyError, match="listener"):
        fd.backup(plugin, on_message=listen)
    assert fd.job(1).status == "R"
    assert fd.backup(script.write(regular("/@D/a")), level="Incremental").level == "F"


def test_unknown_jobs_and_files(fd: FileDaemon, script: tracer.Script) -> None:
    with pytest.raises(LookupError):
        fd.job(1)
    job = fd.backup(script.write(regular("/@D/a"))).jobid
    with pytest.raises(LookupError):
        fd.read_file(job, "/@D/b")
    with pytest.raises(LookupError):
        fd.virtual_full([job, 99])


def test_module_path_of_the_plugin_string_wins(fd: FileDaemon, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise ValueError('mine')\n")
    result = fd.backup(f"python3:module_path={tmp_path}:module_name=mine")
    assert result.status == "f"
    assert any("ValueError: mine" in message.text for message in result.messages)
