# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Transport vddk with the real plugin on the lab's stand-in for VMware's library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap import transport
from bareos_vmsnap.lab.guest import Guest
from bareos_vmsnap.lab.lab import Lab
from bareos_vmsnap.lab.vddk import VixError, plugin
from bareos_vmsnap.mover.connection import Connection
from bareos_vmsnap.mover.failures import NbdFailure
from bareos_vmsnap.transport import TransportError, server
from bareos_vmsnap.vsphere import disks
from tests.mover.harness import wait_until

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)
MIB = 1 << 20
SECRET = "Gartenzwerg&<9>%41:ü"
# A datastore folder and files with all that is awkward in names.
NAME = "wéb [1] 升级, copy"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        made.vcenter.add_user(made.user, SECRET)
        made.password = SECRET
        yield made


@pytest.fixture(scope="module")
def guest(lab: Lab) -> Guest:
    """A VM with A in its first MiB at its snapshot, B since."""
    made = lab.create_vm(NAME, [2 * MIB])
    made.write(2000, 0, b"A" * MIB)
    vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    made.write(2000, 0, b"B" * 65536)
    return made


@pytest.fixture
def habits(lab: Lab) -> Iterator[Any]:
    lab.vddk.habits.reset()
    yield lab.vddk.habits
    lab.vddk.habits.reset()
    wait_until(lambda: lab.vddk.open_disks == [])


def described(lab: Lab, guest: Guest, *, leaf: bool = False, **changed: Any) -> dict[str, Any]:
    vm: Any = vim.VirtualMachine(guest.moref, lab.connect()._stub)
    root: Any = vm.snapshot.rootSnapshotList[0].snapshot
    at: Any = vm if leaf else root
    [disk] = disks.find(at.config.hardware.device)
    return {
        "transport": "vddk",
        "server": lab.host,
        "port": lab.port,
        "user": lab.user,
        "password": lab.password,
        "thumbprint": lab.thumbprint,
        "vm": guest.moref,
        "snapshot": None if leaf else root._moId,
        "path": disk.disk.path,
        "transports": "nbdssl:nbd",
        "libdir": str(lab.vddk.libdir),
        "plugin": plugin.find(),
        **changed,
    }


@contextmanager
def opened(description: dict[str, Any], *, writable: bool = False) -> Iterator[Connection]:
    with transport.open(description, writable=writable) as endpoint:
        connection = Connection(endpoint, request=2 * MIB)
        yield connection
        connection.close()


def read(connection: Connection, place: int, length: int) -> bytes:
    content = bytearray(length)
    connection.finish(connection.start_read(memoryview(content), place))
    return bytes(content)


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


def test_the_command_line_is_as_documented(lab: Lab, guest: Guest, habits: Any) -> None:
    for description, writable in (
        (described(lab, guest, compression="fastlz", single_link=True), False),
        (described(lab, guest, leaf=True), True),
    ):
        with opened(description, writable=writable):
            pid = server._running[0].process.pid
            folder = Path(server._running[0].directory)
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
            told = dict(entry.partition("=")[::2] for entry in line)
            config = Path(told["config"]).read_text()
        assert line[0] == "nbdkit"
        assert {"--exit-with-parent", "--foreground"} < set(line)
        assert ("--readonly" in line) is not writable
        assert told["--unix"] == str(folder / "socket")
        assert (told["server"], told["port"]) == (lab.host, str(lab.port))
        assert (
            told["thumbprint"].replace(":", "").lower() == lab.thumbprint.replace(":", "").lower()
        )
        assert told["vm"] == f"moref={guest.moref}"
        assert told.get("snapshot") == description["snapshot"]
        assert told["file"] == description["path"]
        assert ("compression" in told, "single-link" in told) == ((not writable), (not writable))
        assert [entry for entry in line if "filter" in entry] == ["--filter=exitlast"]
        assert not [entry for entry in line if "cookie" in entry]
        assert f'tmpDirectory="{folder}"' in config
        assert "vixDiskLib.nfcAio.Session.BufSizeIn64KB=16" in config


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


def failure(description: dict[str, Any], *, writable: bool = False) -> str:
    with (
        pytest.raises((NbdFailure, TransportError)) as told,
        opened(description, writable=writable),
    ):
        pass
    assert SECRET not in str(told.value)
    return str(told.value)


WRONG = [
    ({"password": "wrong"}, r"does not let .* open the disk|refused the login"),
    (
        {"thumbprint": "00" * 20},
        "most often the SHA-1 thumbprint 0{40} is not that of the certificate",
    ),
    ({"vm": "vm-99999"}, "does not know the VM vm-99999"),
    ({"snapshot": "snapshot-99999"}, "the snapshot snapshot-99999 of .* does not exist any more"),
    ({"path": "[datastore1] gone/gone.vmdk"}, "the disk's file does not exist"),
    ({"server": "localhost.invalid"}, "cannot be reached"),
    ({"transports": "hotadd"}, "none of the transports hotadd works here"),
]


@pytest.mark.parametrize(("changed", "told"), WRONG, ids=[next(iter(c)) for c, _ in WRONG])
def test_what_is_wrong_is_told_clearly(
    lab: Lab, guest: Guest, habits: Any, changed: dict[str, Any], told: str
) -> None:
    message = failure(described(lab, guest, **changed))
    assert re.search(told, message), message


def test_more_that_is_wrong(lab: Lab, guest: Guest, habits: Any) -> None:
    habits.maintenance = True
    assert "shutting down or goes into maintenance mode" in failure(described(lab, guest))
    habits.reset()
    habits.host_memory = 1 << 20
    assert "no room for another NFC connection" in failure(described(lab, guest))
    habits.reset()
    habits.connections = 0
    assert "no room for another NFC connection" in failure(described(lab, guest))
    habits.reset()
    habits.single_link = False
    assert "does not support opening" in failure(described(lab, guest, single_link=True))
    habits.reset()
    habits.fail("Open", VixError.DISK_NOLICENSE)
    assert "licence" in failure(described(lab, guest))


def test_a_locked_disk(lab: Lab, guest: Guest, habits: Any) -> None:
    leaf = described(lab, guest, leaf=True)
    with opened(leaf, writable=True):
        assert "the disk is locked" in failure(leaf, writable=True)
    guest.power_on()
    try:
        assert "the disk is locked" in failure(leaf, writable=True)
    finally:
        guest.power_off()


@pytest.mark.parametrize(
    ("changed", "writable", "told"),
    [
        ({"password": ""}, False, "password is empty"),
        ({"password": "a\nb"}, False, "has a line break"),
        ({"thumbprint": "00" * 32}, False, "no SHA-1 digest"),
        ({"transports": "nbd:carrier"}, False, "a mode VDDK does not know"),
        ({"transports": "san", "snapshot": None}, True, "SAN cannot write"),
        ({}, True, "of a snapshot is not for writing"),
        ({"libdir": "/nowhere"}, False, r"VDDK .* is not in /nowhere"),
        ({"plugin": "vddk-that-is-not-there"}, False, "nbdkit has no vddk plugin"),
        ({"compression": "lzma"}, False, "unknown compression lzma"),
    ],
)
def test_what_is_refused_before_anything_is_opened(
    lab: Lab, guest: Guest, habits: Any, changed: dict[str, Any], writable: bool, told: str
) -> None:
    calls = len(lab.vddk.calls)
    with (
        pytest.raises(TransportError, match=told),
        transport.open(described(lab, guest, **changed), writable=writable),
    ):
        pass
    assert not [call for call in lab.vddk.calls[calls:] if call.name in ("ConnectEx", "Open")]
    assert server._running == []


def test_all_messages_are_kept_where_that_is_wanted(
    lab: Lab, guest: Guest, habits: Any, tmp_path: Path
) -> None:
    log = tmp_path / "job.log"
    failure(described(lab, guest, log=str(log), password="wrong:password"))
    with opened(described(lab, guest, log=str(log), debug=True)):
        pass
    text = log.read_text()
    assert "VixDiskLib_ConnectEx" in text
    assert "debug: " in text
    assert f"{guest.moref} snapshot-" in text
    assert "wrong:password" not in text
    assert SECRET not in text


def test_a_library_that_cannot_be_loaded(
    lab: Lab, guest: Guest, habits: Any, tmp_path: Path
) -> None:
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvixDiskLib.so.8").write_text("no library")
    told = failure(described(lab, guest, libdir=str(tmp_path)))
    assert f"VDDK in {tmp_path} cannot be loaded" in told


def test_a_new_disk_of_each_size_is_read_whole(lab: Lab, habits: Any) -> None:
    for size in (MIB, 5 * 65536 + 512, 65024):
        made = lab.create_vm(f"size {size}", [size])
        made.write(2000, size - 512, b"E" * 512)
        vm: Any = vim.VirtualMachine(made.moref, lab.connect()._stub)
        WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
        with opened(described(lab, made)) as connection:
            assert connection.size == size
            assert read(connection, 0, size) == bytes(size - 512) + b"E" * 512
    assert subprocess.run(["pgrep", "-P", str(os.getpid()), "nbdkit"], check=False).returncode == 1
