# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The job log: every message ends with its id, and what the system refuses has a text of its own."""

from __future__ import annotations

import errno
import http.client
import importlib
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyVmomi import vmodl

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.fd.lock import VmLock
from bareos_vmsnap.transport import TransportError


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """What a job log tells Bareos: (level, text)."""
    messages: list[tuple[str, str]] = []
    bareosfd: Any = ModuleType("bareosfd")
    for level in ("M_INFO", "M_WARNING", "M_ERROR", "M_FATAL"):
        setattr(bareosfd, level, level)

    def take(level: str, text: str) -> None:
        if "\0" in text:
            raise ValueError("embedded null character")
        text.encode()  # raises UnicodeEncodeError
        messages.append((level, text))

    bareosfd.JobMessage = take
    monkeypatch.setitem(sys.modules, "bareosfd", bareosfd)
    sys.modules.pop("bareos_vmsnap.fd.messages", None)
    yield messages
    sys.modules.pop("bareos_vmsnap.fd.messages", None)


def job_log() -> Any:
    return importlib.import_module("bareos_vmsnap.fd.messages").BareosJobLog()


def failed_with(error: BaseException, said: list[tuple[str, str]]) -> str:
    """The message of a job that failed with this error."""
    job_log().failure(error)
    ((level, text),) = said
    assert level == "M_FATAL"
    assert "fault of bareos-vmsnap" not in text
    assert "What to do: " in text
    return text


def test_ids_come_last_outermost_first(said: list[tuple[str, str]]) -> None:
    log = job_log()
    try:
        try:
            raise TransportError("the disk is locked", id="vddk-locked")
        except TransportError as error:
            what = f"Segment S cannot be read: {error}"
            raise errors.BackupError(what, todo="Run it again", id="segment-unreadable") from error
    except errors.BackupError as error:
        assert "[" not in str(error)
        log.failure(error)
    log.warn("cbt-off", "CBT is off")
    log.error("restore-incomplete", "It is not complete", "vm-exists", "vm-exists")
    log.fatal("unexpected", "And this")
    log.info("Something was done")
    assert said == [
        (
            "M_FATAL",
            "vmsnap: Segment S cannot be read: the disk is locked. What to do: Run it again."
            " [segment-unreadable, vddk-locked]\n",
        ),
        ("M_WARNING", "vmsnap: CBT is off [cbt-off]\n"),
        ("M_ERROR", "vmsnap: It is not complete [restore-incomplete, vm-exists]\n"),
        ("M_ERROR", "vmsnap: And this [unexpected]\n"),
        ("M_INFO", "vmsnap: Something was done\n"),
    ]


def test_a_working_directory_that_is_gone(said: list[tuple[str, str]], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(errors.PreflightError) as caught:
        VmLock(gone, "some-uuid", "web1")
    text = failed_with(caught.value, said)
    assert text.startswith(
        f"vmsnap: The working directory of the file daemon, {gone}, is not there"
    )
    assert text.endswith(" [working-directory-missing]\n")
    gone.touch()
    with pytest.raises(errors.PreflightError, match="is not there"):
        VmLock(gone, "some-uuid", "web1")


@pytest.mark.parametrize(
    ("number", "id"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.ENOENT, "file-missing"),
        (errno.ENOTDIR, "path-unfit"),
        (errno.EISDIR, "path-unfit"),
        (errno.ENAMETOOLONG, "path-unfit"),
        (errno.ELOOP, "path-unfit"),
        (errno.EACCES, "file-forbidden"),
        (errno.EPERM, "file-forbidden"),
        (errno.EROFS, "file-system-read-only"),
        (errno.EIO, "file-io-error"),
        (errno.ESTALE, "file-io-error"),
        (errno.EMFILE, "too-many-files"),
        (errno.ENFILE, "too-many-files"),
        (errno.ENOMEM, "no-memory"),
        (errno.EBUSY, "system-refused"),
    ],
)
def test_files(said: list[tuple[str, str]], number: int, id: str) -> None:
    text = failed_with(OSError(number, os.strerror(number), "/var/lib/bareos/x"), said)
    assert text.startswith(f"vmsnap: {os.strerror(number)}: /var/lib/bareos/x. What to do: ")
    assert text.endswith(f" [{id}]\n")


@pytest.mark.parametrize(
    ("error", "expected", "id"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device.", "disk-full"),
        (OSError("odd"), "odd.", "system-refused"),
        (PermissionError(errno.EACCES, "Permission denied", b"/x"), ": /x.", "file-forbidden"),
        (MemoryError(), "MemoryError.", "no-memory"),
        (ssl.SSLError(1, "[SSL] unexpected eof"), "failed: [SSL] unexpected eof.", "tls-failed"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "failed: self-signed.", "tls-failed"),
        (socket.timeout("timed out"), "failed: timed out.", "connection-timeout"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "timed", "connection-timeout"),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), "reset", "connection-lost"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe.", "connection-lost"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route", "connection-lost"),
        (socket.gaierror(-2, "Name or service not known"), "service not", "connection-lost"),
        (http.client.RemoteDisconnected("closed"), "failed: closed.", "connection-lost"),
        (http.client.BadStatusLine("x"), "failed: x.", "connection-lost"),
        (http.client.IncompleteRead(b""), "IncompleteRead", "connection-lost"),
        (EOFError(), "failed: EOFError.", "connection-lost"),
        (
            subprocess.CalledProcessError(2, ["/usr/bin/qemu-img", "info"], stderr="a\nno disk\n"),
            "/usr/bin/qemu-img ended with status 2: no disk.",
            "program-failed",
        ),
        (
            subprocess.CalledProcessError(-9, "qemu-img", b"", b""),
            "qemu-img was killed by signal 9.",
            "program-failed",
        ),
        (
            subprocess.TimeoutExpired(["nbdkit"], 30),
            "nbdkit did not end within 30 s.",
            "program-late",
        ),
    ],
)
def test_connections_and_programs(
    said: list[tuple[str, str]], error: BaseException, expected: str, id: str
) -> None:
    text = failed_with(error, said)
    assert expected in text
    assert text.endswith(f" [{id}]\n")


def test_what_nobody_thought_of(said: list[tuple[str, str]]) -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        job_log().failure(error)
    ((_, text),) = said
    assert "Unexpected KeyError: 'x' (at test_messages.py:" in text
    assert "This is a fault of bareos-vmsnap" in text
    assert text.endswith(" [unexpected]\n")


def test_an_error_of_ours_is_left_as_it_is() -> None:
    error = errors.RestoreError("no", id="vm-exists")
    assert system_errors.translated(error) is error
    assert errors.message(error) == "no. [vm-exists]"


def test_what_vsphere_refuses(said: list[tuple[str, str]]) -> None:
    text = "vmsnap: vSphere refused a call: SystemError: no. [vsphere-refused]\n"
    job_log().failure(vmodl.fault.SystemError(msg="no"))
    assert said == [("M_FATAL", text)]


def test_what_cannot_be_printed_is_escaped(said: list[tuple[str, str]]) -> None:
    """Bareos refuses NUL and halves of surrogate pairs; the message would be lost."""
    log = job_log()
    log.info("a\x00b\x1b[31m\x9b\udcff\tline\nend é 🚀")
    log.failure(ValueError("\x00\udc80"))
    log.error("restore-incomplete", "Left behind: /x\x00y")
    assert said[0] == (
        "M_INFO",
        "vmsnap: a\\x00b\\x1b[31m\\x9b\\udcff\tline\nend é 🚀\n",
    )
    assert said[1][1].startswith("vmsnap: Unexpected ValueError: \\x00\\udc80 (at ")
    assert said[2] == ("M_ERROR", "vmsnap: Left behind: /x\\x00y [restore-incomplete]\n")


def test_no_advice_is_for_jobs_alone(said: list[tuple[str, str]]) -> None:
    """The commands print it, too, if there is neither a file daemon nor a job."""
    numbers = [OSError(number, os.strerror(number)) for number in errno.errorcode]
    others = [EOFError(), MemoryError(), socket.timeout(), ssl.SSLError(1, "x"), KeyError("x")]
    programs = [subprocess.TimeoutExpired("x", 1), subprocess.CalledProcessError(1, "x")]
    for error in (*numbers, *others, *programs):
        text = str(system_errors.translated(error))
        assert not re.search(r"daemon|\bjobs?\b|plugin", text), text
