# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""nbdkit's command line and environment, and VDDK's configuration file (pure)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bareos_vmsnap.transport.disks import COMPRESSION, VddkDisk
from bareos_vmsnap.transport.server import Files
from bareos_vmsnap.transport.vddk.library import Library

FILTER = "exitlast"
MAX_THREADS = 64  # for each connection
BUFFERS = "vixDiskLib.nfcAio.Session.BufCount"
# NFC's buffers: requests of 1 MiB, four in flight on each connection. They take memory of the ESXi
# host, which has 48 MiB (vSphere 8: 96) for all; see the limits in docs/options.md. The timeouts
# are those that VMware's guide suggests, in milliseconds.
SETTINGS = f"""\
vixDiskLib.nfcAio.Session.BufSizeIn64KB=16
{BUFFERS}=4
vixDiskLib.nfc.AcceptTimeoutMs=180000
vixDiskLib.nfc.RequestTimeoutMs=180000
vixDiskLib.nfc.ReadTimeoutMs=60000
vixDiskLib.nfc.WriteTimeoutMs=600000
"""


def arguments(
    disk: VddkDisk, library: Library, files: Files, config: str, password_fd: int, *, writable: bool
) -> list[str]:
    """The command line, without the password: nbdkit reads that from `password_fd`.

    The only filter is `exitlast`: nbdkit ends itself when the last client has gone. If a signal
    ends it, it does not close the disk in VDDK, and the host keeps its lock for a while, so that no
    snapshot can be taken. Other filters are not needed: our client asks for whole sectors in
    requests of a size that VDDK takes, and for block status once, in large ranges; `retry` would
    allow one request at a time on each connection, and when writing could hide that written data
    was lost. Readers reconnect by themselves (mover.child.nbd_connection).

    A connection has as many threads, and so requests under way in VDDK, as NFC buffers.
    """
    command = [
        "nbdkit",
        "--exit-with-parent",
        "--foreground",
        f"--unix={files.socket}",
        f"--pidfile={files.pid_file}",
        f"--filter={FILTER}",
        f"--threads={_buffers(disk)}",
    ]
    if not writable:
        command.append("--readonly")
    if disk.debug:
        command += ["--verbose", "-D", "vddk.datapath=0"]
    command += [
        disk.plugin,
        f"libdir={library.libdir}",
        f"config={config}",
        f"server={disk.server}",
        f"port={disk.port}",
        f"user={disk.user}",
        f"password=-{password_fd}",
        f"thumbprint={with_colons(disk.thumbprint)}",
        f"vm=moref={disk.vm}",
    ]
    if disk.snapshot:
        command.append(f"snapshot={disk.snapshot}")
    command.append(f"transports={disk.transports}")
    if disk.compression != COMPRESSION:
        command.append(f"compression={disk.compression}")
    if disk.single_link:
        command.append("single-link=true")
    command.append(f"file={disk.path}")
    return command


def environment(library: Library, directory: str, ours: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a process that loads VDDK; its files go to `directory`.

    If LD_LIBRARY_PATH lacks the library's directory, the plugin restarts nbdkit, and puts the
    password into an (unlinked) file in /tmp on the way: so it is set from the beginning.
    """
    return {
        "PATH": ours.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": directory,
        "TMPDIR": directory,
        "LD_LIBRARY_PATH": library.folder,
    }


def config(disk: VddkDisk, directory: str) -> str:
    """VDDK's configuration file; VDDK's files go to `directory`.

    An admin's lines replace ours: which of two would be effective is not documented.
    """
    theirs = {_key(line) for line in disk.settings.splitlines()}
    ours = [f'tmpDirectory="{directory}"', *SETTINGS.splitlines()]
    kept = "".join(f"{line}\n" for line in ours if _key(line) not in theirs)
    return kept + disk.settings


def _buffers(disk: VddkDisk) -> int:
    """The number of NFC buffers of a connection."""
    for line in reversed([*SETTINGS.splitlines(), *disk.settings.splitlines()]):
        value = line.partition("=")[2].strip(' \t"')
        if _key(line) == BUFFERS.lower() and value.isdecimal() and int(value) > 0:
            return min(int(value), MAX_THREADS)
    raise AssertionError("our own settings name it")


def _key(line: str) -> str:
    return line.partition("=")[0].strip().lower()


def with_colons(thumbprint: str) -> str:
    """A digest as VDDK wants it."""
    digits = thumbprint.replace(":", "").upper()
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))
