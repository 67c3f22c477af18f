# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport vddk with the real plugin on the lab's stand-in for VMware's library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.transport import server
from tests.mover.harness import children_of, wait_until
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import plugin

from .vddk import MIB, SECRET, described, opened, read

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


def test_a_snapshot_is_read_and_the_leaf_written(lab: Lab, guest: Guest, habits: Any) -> None:
    with opened(described(lab, guest)) as connection:
        assert read(connection, 0, 2 * MIB) == b"A" * MIB + bytes(MIB)
        assert connection.handle.is_read_only()
    with opened(described(lab, guest, leaf=True), writable=True) as connection:
        connection.handle.pwrite(b"C" * 512, 512)
        connection.flush()
    assert guest.read(2000, 0, 1024) == b"B" * 512 + b"C" * 512
    wait_until(lambda: lab.vddk.open_disks == [])
    counts = [call.counts for call in lab.vddk.named("Close") if call.counts is not None]
    assert [(c.writes, c.unflushed_writes) for c in counts] == [(0, 0), (1, 0)]
    assert lab.vddk.named("Lost") == []


READER = """
import json, sys
from bareos_vmsnap import dataclass_json, transport
from bareos_vmsnap.mover.child.nbd_connection import Connection
from bareos_vmsnap.transport.disks import VddkDisk

disk = dataclass_json.decode(VddkDisk, json.loads(sys.stdin.buffer.read()))
with transport.open(disk, writable=False) as endpoint:
    connection = Connection(endpoint, request=512)
    print(connection.handle.pread(512, 0)[:4].decode())
    connection.close()
"""


def test_names_reach_vddk_in_utf8_whatever_the_locale(lab: Lab, guest: Guest, habits: Any) -> None:
    """Of a daemon that was started with a locale of another encoding."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", READER],
        input=json.dumps(dataclass_json.encode(described(lab, guest))).encode(),
        env={**os.environ, **locale},
        capture_output=True,
    )
    assert done.stdout == b"AAAA\n", done.stderr.decode(errors="replace")


def test_the_command_line_is_as_documented(lab: Lab, guest: Guest, habits: Any) -> None:
    for description, writable in (
        (described(lab, guest, compression="fastlz", single_link=True, settings="a.b=1\n"), False),
        (described(lab, guest, leaf=True), True),
    ):
        with opened(description, writable=writable):
            pid = server._running[0].process.pid
            folder = Path(server._running[0].directory)
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
            arguments = dict(entry.partition("=")[::2] for entry in line)
            config = Path(arguments["config"]).read_text()
        assert line[0] == "nbdkit"
        assert {"--exit-with-parent", "--foreground"} < set(line)
        assert ("--readonly" in line) is not writable
        assert arguments["--unix"] == str(folder / "socket")
        assert (arguments["server"], arguments["port"]) == (lab.host, str(lab.port))
        assert (
            arguments["thumbprint"].replace(":", "").lower()
            == lab.thumbprint.replace(":", "").lower()
        )
        assert arguments["vm"] == f"moref={guest.moref}"
        assert arguments.get("snapshot") == description.snapshot
        assert arguments["file"] == description.path
        assert ("compression" in arguments, "single-link" in arguments) == (
            (not writable),
            (not writable),
        )
        assert [entry for entry in line if "filter" in entry] == ["--filter=exitlast"]
        assert not [entry for entry in line if "cookie" in entry]
        assert f'tmpDirectory="{folder}"' in config
        assert "vixDiskLib.nfcAio.Session.BufSizeIn64KB=16" in config
        assert config.endswith("\na.b=1\n") is not writable


def test_the_password_is_in_no_file_argument_or_environment(
    lab: Lab, guest: Guest, habits: Any
) -> None:
    with opened(described(lab, guest)):
        pid = server._running[0].process.pid
        place = Path(f"/proc/{pid}")
        # Had it started itself anew, to find the library, this argument would be there, and the
        # password would have been in an unlinked file.
        assert b"reexeced_" not in (place / "cmdline").read_bytes()
        environment = dict(
            entry.partition("=")[::2]
            for entry in (place / "environ").read_bytes().decode().split("\0")[:-1]
        )
        assert set(environment) == {"PATH", "LC_ALL", "HOME", "TMPDIR", "LD_LIBRARY_PATH"}
        assert environment["LD_LIBRARY_PATH"] == f"{lab.vddk.libdir}/lib64"
        descriptors = {os.readlink(path) for path in (place / "fd").iterdir()}
        assert not [name for name in descriptors if "(deleted)" in name and "/dev/shm" not in name]
        ours = {
            os.readlink(f"/proc/self/fd/{number}")
            for number in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{number}")
        }
        # Of our pipes it has the one its messages go to, and no other.
        assert len({name for name in descriptors & ours if name.startswith("pipe:")}) <= 1
        secret = SECRET.encode()
        for name in ("cmdline", "environ"):
            assert secret not in (place / name).read_bytes()
        for path in Path(server._running[0].directory).rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes()
    assert lab.vddk.processes[-1].environment["LD_LIBRARY_PATH"] == f"{lab.vddk.libdir}/lib64"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_by_strace_it_starts_once_and_writes_no_temporary_file(
    lab: Lab, guest: Guest, habits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    trace, real = tmp_path / "trace", shutil.which("nbdkit")
    wrapper = tools / "nbdkit"
    wrapper.write_text(
        "#!/bin/sh\nunset LD_PRELOAD\n"
        f"exec /usr/bin/strace -D -f -s 300 -o {trace} -e trace=execve,openat,memfd_create,unlink"
        f' -E LD_LIBRARY_PATH="$LD_LIBRARY_PATH" {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with opened(described(lab, guest)) as connection:
        assert read(connection, 0, 512) == b"A" * 512
    wait_until(lambda: "+++ exited" in trace.read_text())  # the tracer outlives it a moment
    lines = trace.read_text().splitlines()
    assert sum("execve(" in line and " = 0" in line for line in lines) == 1
    made = [line for line in lines if "O_CREAT" in line and '"/tmp/' in line]
    assert [
        line for line in made if str(Path(server.scratch.tempfile.gettempdir())) not in line
    ] == []
    assert not [line for line in lines if "O_CREAT" in line and SECRET in line]
    assert not [line for line in lines if "memfd_create" in line]


def test_a_new_disk_of_each_size_is_read_whole(lab: Lab, habits: Any) -> None:
    for size in (MIB, 5 * 65536 + 512, 65024):
        made = lab.create_vm(f"size {size}", [size])
        made.write(2000, size - 512, b"E" * 512)
        vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
        WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
        with opened(described(lab, made)) as connection:
            assert connection.size == size
            assert read(connection, 0, size) == bytes(size - 512) + b"E" * 512
    names = [Path(f"/proc/{pid}/comm").read_text() for pid in children_of(os.getpid())]
    assert "nbdkit\n" not in names
