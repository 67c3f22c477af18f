# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where plugin code runs, and what it may not do there."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from vmsnap_lab.filedaemon import FileDaemon, JobResult

from . import tracer


def _do(fd: FileDaemon, deed: str, **more: str) -> tuple[JobResult, str]:
    options = "".join(f":{name}={value}" for name, value in more.items())
    result = fd.backup(f"python3:module_name=lab-deeds:deed={deed}{options}")
    output = [message.text for message in result.messages if message.text.startswith("DID ")]
    return result, output[0][len("DID ") :] if output else ""


@pytest.mark.parametrize(
    ("deed", "outcome"),
    [
        ("signal", "ValueError: signal only works in main thread of the main interpreter"),
        ("preexec", "RuntimeError: preexec_fn not supported within subinterpreters"),
        ("popen", "0"),
        ("fork", "True"),
        ("foreign", "RuntimeError: bareosfd: plugin_ctx is unset"),
        ("lab", "[]"),
        ("main", "True"),
    ],
)
def test_deed(deed: str, outcome: str, fd: FileDaemon) -> None:
    result, output = _do(fd, deed)
    assert (result.status, output, result.crash) == ("T", outcome, None)


def test_place(fd: FileDaemon) -> None:
    _, output = _do(fd, "path")
    module_path, modules, cwd, arguments, executable = output.split(" ")
    assert module_path == str(tracer.PLUGINS)
    assert (Path(modules) / "BareosFdWrapper.py").exists()
    assert (cwd, arguments, executable) == ("/", "['']", sys.executable)


@pytest.mark.parametrize("ahead", [0, 3 * 3600, -5 * 3600])
def test_a_clock_of_its_own(fd: FileDaemon, ahead: int) -> None:
    fd.clock_ahead = ahead
    before = time.time()
    result, output = _do(fd, "clock")
    for seen in map(float, output.split(" ")):
        assert before + ahead <= seen <= time.time() + ahead
    assert before <= fd.job(result.jobid).start_time <= time.time()  # the Director's


def test_a_host_name_of_its_own(fd: FileDaemon) -> None:
    assert _do(fd, "host")[1] == socket.gethostname()
    fd.host_name = "proxy2"
    assert _do(fd, "host")[1] == "proxy2"


def test_thread_is_waited_for(fd: FileDaemon) -> None:
    began = time.monotonic()
    result, _ = _do(fd, "slow_thread")
    assert (result.status, result.crash) == ("T", None)
    assert time.monotonic() - began > 1


def test_daemon_thread_kills_the_file_daemon(fd: FileDaemon) -> None:
    result, _ = _do(fd, "daemon_thread")
    assert result.status == "T"  # the Director has heard of the end already
    assert result.crash is not None
    assert "not the last thread" in result.crash


@pytest.mark.parametrize("fail", [{}, {"fail": "yes"}])
def test_atexit_runs(fail: dict[str, str], fd: FileDaemon, tmp_path: Path) -> None:
    result, _ = _do(fd, "atexit", file=str(tmp_path / "done"), **fail)
    assert result.status == ("f" if fail else "T")
    assert (tmp_path / "done").exists()


def test_exit_is_a_failure_of_the_plugin(fd: FileDaemon) -> None:
    result, _ = _do(fd, "exit")
    assert (result.status, result.crash) == ("f", None)


def test_abort_kills_the_file_daemon(fd: FileDaemon) -> None:
    result, _ = _do(fd, "abort")
    assert result.status == "f"
    assert result.crash is not None
    assert result.crash.startswith("SIGABRT")


@pytest.mark.parametrize("deed", ["check_changes", "numpy"])
def test_hazards(deed: str, fd: FileDaemon) -> None:
    result, _ = _do(fd, deed)
    assert result.status == "T"
    assert len(result.hazards) == 1


def test_environment(fd: FileDaemon) -> None:
    result = fd.backup(
        "python3:module_name=lab-deeds:deed=environment", environment={"LAB_VALUE": "x"}
    )
    assert any(message.text == "DID x" for message in result.messages)


def test_messages_come_as_they_are_sent(fd: FileDaemon) -> None:
    heard: list[str] = []
    result = fd.backup(
        "python3:module_name=lab-deeds:deed=popen",
        on_message=lambda message: heard.append(message.text),
    )
    assert heard == [message.text for message in result.messages]
    assert heard == [message.text for message in fd.joblog(result.jobid)]
