# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Endpoints made of descriptions, with real servers."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import nbd
import pytest

from bareos_vmsnap import transport
from bareos_vmsnap.transport import TransportError, server
from bareos_vmsnap.transport.disks import DiskDescription, NbdDisk, Qcow2Disk

SIZE = 1 << 20


def make_image(path: Path, *, size: int = SIZE) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(size)], check=True)
    return path


def connected(uri: str) -> Any:
    handle = nbd.NBD()
    handle.connect_uri(uri)
    return handle


def servers() -> list[int]:
    return [running.process.pid for running in server._running]


@pytest.mark.parametrize(
    "name", ["disk.qcow2", "with,comma.qcow2", "nbd:trap.qcow2", "a b 虚拟.qcow2", "json:{}.qcow2"]
)
def test_an_image_is_served_to_several_clients(tmp_path: Path, name: str) -> None:
    path = make_image(tmp_path / "plain")
    path = path.rename(tmp_path / name)
    description = Qcow2Disk(str(path))
    with transport.open(description, writable=True) as endpoint:
        writer = connected(endpoint.uri)
        writer.pwrite(b"x" * 512, 512)
        writer.flush()
        assert not writer.is_read_only()
        [pid] = servers()
    assert not Path(f"/proc/{pid}").exists()
    with transport.open(description, writable=False) as endpoint:
        assert endpoint.connections is not None and endpoint.connections >= 8
        readers = [connected(endpoint.uri) for _ in range(8)]
        assert all(reader.pread(1024, 0) == bytes(512) + b"x" * 512 for reader in readers)
        assert all(reader.is_read_only() and reader.get_size() == SIZE for reader in readers)
        # A client that comes after all others have left finds the server, too.
        for reader in readers:
            reader.shutdown()
        assert connected(endpoint.uri).get_size() == SIZE


def test_a_chain_is_read_as_one_disk(tmp_path: Path) -> None:
    base = make_image(tmp_path / "base.qcow2")
    with transport.open(Qcow2Disk(str(base)), writable=True) as endpoint:
        connected(endpoint.uri).pwrite(b"base" * 128, 0)
    leaf = tmp_path / "leaf.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base.name, "-F", "qcow2", str(leaf)]
    subprocess.run(create, check=True, cwd=tmp_path)
    with transport.open(Qcow2Disk(str(leaf)), writable=True) as endpoint:
        connected(endpoint.uri).pwrite(b"leaf" * 128, 512)
    with transport.open(Qcow2Disk(str(leaf)), writable=False) as endpoint:
        assert connected(endpoint.uri).pread(1024, 0) == b"base" * 128 + b"leaf" * 128


def test_the_socket_is_private_and_goes_away(tmp_path: Path) -> None:
    path = make_image(tmp_path / "disk.qcow2")
    with transport.open(Qcow2Disk(str(path)), writable=False) as endpoint:
        socket = Path(endpoint.uri.partition("socket=")[2])
        folder = socket.parent
        assert socket.is_socket()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_a_long_path_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets have short paths only."""
    path = make_image(tmp_path / "disk.qcow2")
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with transport.open(Qcow2Disk(str(path)), writable=False) as endpoint:
        assert connected(endpoint.uri).get_size() == SIZE


def test_another_format(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"raw!" * 256)
    description = Qcow2Disk(str(path), format="raw")
    with transport.open(description, writable=False) as endpoint:
        assert connected(endpoint.uri).pread(4, 0) == b"raw!"


@pytest.mark.parametrize(
    ("description", "writable", "problem"),
    [
        (NbdDisk("http://x"), False, "uri must start with one of nbd"),
        (NbdDisk("nbd://[x"), False, "uri is malformed"),
        (Qcow2Disk("disk.qcow2"), False, "is not absolute"),
        (Qcow2Disk("/nowhere/disk"), False, "/nowhere/disk does not exist"),
        (Qcow2Disk("/dev/null", readonly=True), True, "as read-only"),
        (Qcow2Disk("/dev/null"), False, "qemu-nbd ended with status 1: "),
        (Qcow2Disk("/etc/passwd"), False, "Image is not in qcow2 format"),
    ],
)
def test_what_cannot_be_opened_is_reported(
    description: DiskDescription, writable: bool, problem: str
) -> None:
    with (
        pytest.raises(TransportError, match=problem),
        transport.open(description, writable=writable),
    ):
        pass
    assert servers() == []


def test_a_uri_is_passed_on_but_not_shown() -> None:
    uri = "nbds://alice:secret@server.example:10810/disk?tls-psk-file=/etc/psk"
    description = NbdDisk(uri, connections=3)
    with transport.open(description, writable=False) as endpoint:
        assert endpoint.uri == uri
        assert endpoint.name == "NBD server server.example"
        assert endpoint.connections == 3
        assert endpoint.log() == ""


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_image(tmp_path / "disk.qcow2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransportError, match="qemu-nbd not found: install qemu-utils"):
        transport.open(Qcow2Disk(str(path)), writable=False).__enter__()


def test_a_server_that_never_gets_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "START_TIMEOUT", 3)  # the time the shell has to say so
    command = ["sh", "-c", "echo still thinking >&2; exec sleep 60"]
    with (
        pytest.raises(TransportError, match="not ready within 3 s: still thinking"),
        server.run(lambda files: command, package="none"),
    ):
        pass


def test_a_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STOP_TIMEOUT", 0.1)
    script = "trap '' TERM; touch $0; while :; do sleep 1; done"
    with server.run(lambda files: ["sh", "-c", script, files.pid_file], package="none") as running:
        pid = running.process.pid
    assert not Path(f"/proc/{pid}").exists()


def test_servers_are_started_in_the_main_thread_only(tmp_path: Path) -> None:
    path = make_image(tmp_path / "disk.qcow2")
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            with transport.open(Qcow2Disk(str(path)), writable=False):
                pass
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_a_server_ends_with_its_process(tmp_path: Path) -> None:
    path = make_image(tmp_path / "disk.qcow2")
    script = textwrap.dedent(
        f"""
        import time
        from bareos_vmsnap import transport
        from bareos_vmsnap.transport import disks, server
        with transport.open(disks.Qcow2Disk({str(path)!r}), writable=True):
            print(server._running[0].process.pid, flush=True)
            time.sleep(60)
        """
    )
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as scratch:
        parent = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": scratch},
        )
        assert parent.stdout is not None
        with parent.stdout:
            pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
