# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What of transport vddk needs neither nbdkit nor VDDK: library, messages, descriptions, slots."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap.processes.server_log import TAIL, ServerLog
from bareos_vmsnap.transport import TransportError
from bareos_vmsnap.transport.access import DiskAddress, Limits, NbdAccess, TemplateError, VddkAccess
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.server import Files
from bareos_vmsnap.transport.vddk import checks, command, diagnosis, library

DISK = VddkDisk(
    server="vc.example.org",
    port=443,
    user="locked@vsphere.local",
    password="secret",
    thumbprint="00" * 20,
    vm="vm-7",
    path="[no licence] maintenance mode/locked.vmdk",
    snapshot="snapshot-9",
    libdir="/usr/lib/vddk",
)


@pytest.mark.parametrize(
    "names", [("lib64/libvixDiskLib.so.9",), ("lib64/libvixDiskLib.so.8",), ("libvixDiskLib.so.7",)]
)
def test_the_library_is_found_where_it_is(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = library.find(None, ["/nowhere", f"{tmp_path}/"])
    assert found.libdir == str(tmp_path)
    assert found.folder == str((tmp_path / names[0]).parent)


def test_a_library_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="is not in /a, /b: download VDDK"):
        library.find(None, ["/a", "/b"])
    with pytest.raises(TransportError, match=f"is not in {tmp_path}: .*vddk_libdir"):
        library.find(str(tmp_path), ["/a"])
    odd = tmp_path / "a:b"
    odd.mkdir()
    (odd / "libvixDiskLib.so.8").touch()
    with pytest.raises(TransportError, match="has a colon"):
        library.find(str(odd))


def test_an_admins_setting_takes_the_place_of_ours() -> None:
    settings = "# ours\nvixdisklib.nfcAio.Session.BufCount = 8\nvixDiskLib.transport.x=1\n"
    lines = command.config(replace(DISK, settings=settings), "/scratch").splitlines()
    assert lines[-3:] == settings.splitlines()
    assert 'tmpDirectory="/scratch"' in lines
    assert "vixDiskLib.nfcAio.Session.BufSizeIn64KB=16" in lines
    assert sum("bufcount" in line.lower() for line in lines) == 1


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ("", 4),
        ('vixdisklib.nfcaio.session.bufcount = "8"\n', 8),
        (f"{command.BUFFERS}=16\n{command.BUFFERS}=many\n", 16),
        (f"{command.BUFFERS}=1000\n", command.MAX_THREADS),
    ],
)
def test_as_many_requests_as_buffers(settings: str, threads: int) -> None:
    disk = replace(DISK, settings=settings, snapshot=None)
    files = Files("/run/socket", "/run/pid", "/run")
    found = library.Library("/vddk", "/vddk/lib64/libvixDiskLib.so.8")
    line = command.arguments(disk, found, files, "/run/conf", 9, writable=True)
    assert f"--threads={threads}" in line


# Lines as VDDK 7 and 8, nbdkit 1.32 and 1.42 write them.
SAID = [
    ("VixDiskLib_Open: {path}: The file is already in use", "the disk is locked"),
    ('DISKLIB-VMFS: "/vmfs/x.vmdk" : failed to open (Failed to lock the file): 16392', "locked"),
    ("VixDiskLib_ConnectEx: The snapshot was not found", "the snapshot snapshot-9 of vm-7"),
    ("VixDiskLib_ConnectEx: The virtual machine cannot be found", "does not know the VM vm-7"),
    ("The object 'vim.vm.Snapshot:snapshot-9' has already been deleted", "snapshot-9 of vm-7"),
    ("[NFC ERROR] NfcFssrvrOpen: NFC error 5 (Failed to allocate)", "no room for another NFC"),
    ("VixDiskLib_Open: {path}: Memory allocation failed. Out of memory.", "no room for another"),
    ("VixDiskLib_Open: {path}: The server refused connection", "no room for another NFC"),
    ("VixDiskLib_Open: {path}: Unknown error", r"most often the SHA-1 thumbprint 0{40}"),
    ("VixDiskLibVim: Login failure. Callback error 18000000: InvalidLogin", "refused the login of"),
    ("Cannot complete login due to an incorrect user name or password.", "refused the login of"),
    ("VixDiskLib_Open: {path}: The host server is being shutdown", "maintenance mode"),
    ("VixDiskLib_Open: {path}: You do not have a license for this feature", "the licence of"),
    ("VixDiskLib: No transport modes available to access disk {path}", "none of the transports"),
    ("VixDiskLib_Open: {path}: A file was not found", "the disk's file does not exist"),
    ("VixDiskLib_Open: {path}: You do not have access rights to this file", "lacks a privilege"),
    ("VixDiskLib_ConnectEx: Insufficient permissions in the host operating system", "lacks a priv"),
    ("NfcNewAuthdConnectionEx: Failed to connect to peer. vmware-authd", "cannot be reached"),
    ("VixDiskLib_Read: The connection was lost", "cannot be reached"),
    ("VixDiskLib_Open: {path}: The operation is not supported", "does not support opening"),
    ('cannot open plugin "vddk": /usr/lib/nbdkit-vddk-plugin.so: cannot open', "no vddk plugin"),
    (
        "/x/libvixDiskLib.so.8: cannot open shared object file: No such file",
        "does not load the VDDK in /usr/lib/vddk .VDDK 9 needs an nbdkit that looks",
    ),
    (
        "/x/libvixDiskLib.so.8: wrong ELF class: ELFCLASS32",
        "VDDK in /usr/lib/vddk cannot be loaded",
    ),
    ('required VDDK symbol "VixDiskLib_Wait" is missing. VDDK version must be >= 6.5', "too old"),
]


@pytest.mark.parametrize(("line", "message"), SAID)
def test_messages_have_a_meaning(line: str, message: str) -> None:
    said = f"nbdkit: vddk[1]: error: {line.format(path=DISK.path)}"
    noise = "nbdkit: vddk[1]: debug: transport mode: nbdssl\n"
    meaning = diagnosis.explain(noise + said, DISK)
    assert meaning is not None
    assert re.search(message, meaning.text), meaning
    assert DISK.password not in meaning.text


def test_names_that_people_chose_mean_nothing() -> None:
    """The disk's path speaks of locks, a licence and maintenance; none of it is an error's word."""
    assert diagnosis.explain(f"error: VixDiskLib_Open: {DISK.path}: something new", DISK) is None
    assert diagnosis.explain("debug: Failed to lock the file", DISK) is None


def vddk(**changed: Any) -> VddkAccess:
    common = VddkDisk("vc", 443, "u", "secret", "00" * 20, compression="fastlz")
    whole = VddkAccess(common, True, "san:nbdssl", "nbdssl", Limits("/slots", 40, 10))
    return replace(whole, **changed)


def test_reading_names_the_snapshot_and_writing_none() -> None:
    disk = vddk().describe(DiskAddress("vm-7", 2000, "[ds] a.vmdk", "snapshot-9", "esx1"))
    checks.check(disk, writable=False)
    assert (disk.snapshot, disk.transports, disk.compression) == (
        "snapshot-9",
        "san:nbdssl",
        "fastlz",
    )
    disk = vddk().describe(DiskAddress("vm-7", 2000, "[ds] a-000001.vmdk", host="esx1"))
    checks.check(disk, writable=True)
    assert (disk.snapshot, disk.transports, disk.path) == (None, "nbdssl", "[ds] a-000001.vmdk")
    assert "secret" not in repr(disk) + repr(vddk())


def test_connections_count_for_their_host_and_vcenter() -> None:
    address = DiskAddress("vm-7", 2000, "[ds] a.vmdk", "snapshot-9", "esx1")
    limits = vddk().describe(address).limits
    assert [(limit.name, limit.limit) for limit in limits] == [
        ("ESXi host esx1", 10),
        ("vCenter vc:443", 40),
    ]
    limits = vddk(is_vcenter=False).describe(address).limits
    assert [(limit.name, limit.limit) for limit in limits] == [("ESXi host vc:443", 10)]


def test_a_single_link_over_nbd_has_a_template_of_its_own() -> None:
    address = DiskAddress("vm-7", 2000, "[ds] a.vmdk", "snapshot-9", single_link=True)
    assert not NbdAccess("nbd://h/{disk}").opens_single_links
    access = NbdAccess("nbd://h/{disk}", "nbd://h/{disk}-alone")
    assert access.opens_single_links
    assert access.describe(address).uri == "nbd://h/2000-alone"


def test_a_log_keeps_its_end_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ServerLog(["p:w d", "other"], str(path), "disk")
    for number in range(2000):
        os.write(log.descriptor, f"line {number} p:w d p%3Aw%20d\n".encode())
    os.write(log.descriptor, b"unfinished oth")
    os.write(log.descriptor, b"er")
    tail = log.tail()
    assert tail.endswith("line 1999 … …\nunfinished …")
    assert len(tail) <= TAIL
    log.started()
    deadline = time.monotonic() + 60
    while "unfinished" not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    text = path.read_text()
    assert text.count("line") == 2000
    assert "p:w" not in text and "p%3A" not in text and "other" not in text
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_hidden_wherever_a_long_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ServerLog(["Gärten/Zwerg"], str(path))
    for part in (b"x" * (16 << 10) + "Gärten/Zw".encode()[:-1], b"werg, G%C3%A4rten%2FZwerg\n"):
        os.write(log.descriptor, part)
        log.tail()
    os.write(log.descriptor, b"x" * (40 << 10))
    log.tail()
    log.started()
    deadline = time.monotonic() + 60
    while path.read_text().count("x") < 56 << 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "…, …" in path.read_text()
    assert "rten" not in path.read_text()


@pytest.mark.parametrize(
    "braces",
    [
        "{disk",
        "{disk!z}",
        "{disk:zz}",
        "{disk}{}",
        "{disk}{0}",
        "{disk.foo}",
        "{disk:{}}",
        "{disk[0]}",
    ]
    + ["{disk:>99999999999999999999}", "{path:d}{disk}", "{disc}", "{vm}"],
)
def test_malformed_nbd_uris_are_found_before_they_are_used(braces: str) -> None:
    for templates in ((f"nbd://h/{braces}", ""), ("nbd://h/{disk}", f"nbd://h/{braces}")):
        with pytest.raises(TemplateError):
            NbdAccess(*templates)
