# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Looking at processes through /proc."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_LISTENS = "00010000"  # a flag in /proc/net/unix


def marked(mark: str) -> list[int]:
    """The processes that have `mark` in their environment."""
    return [pid for pid in _all() if mark.encode() in read(pid, "environ")]


def is_mover(pid: int) -> bool:
    """Whether the process is one of bareos_vmsnap.mover, be it the one that forks the others."""
    return b"bareos_vmsnap.mover" in read(pid, "cmdline")


def works(pid: int) -> bool:
    """Whether the process is a mover that has a segment to move."""
    return read(pid, "comm") == b"vmsnap-mover\n"


def holds(pid: int) -> bool:
    """Whether the process is one of bareos_vmsnap.relocation_block."""
    return b"bareos_vmsnap.relocation_block" in read(pid, "cmdline")


def servers_of(socket: Path) -> list[int]:
    """The processes below this one that serve a disk at that door."""
    inode = _inode_of(str(socket))
    return [
        pid
        for pid in _all()
        if b"qemu-nbd" in read(pid, "cmdline") and f"socket:[{inode}]" in _descriptors(pid)
    ]


def send(pid: int, number: int) -> bool:
    """Send a signal; whether the process was still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def describe(pid: int) -> str:
    """Its command line."""
    return f"{pid}: {read(pid, 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}"


def read(pid: int, what: str) -> bytes:
    """A file of /proc/<pid>; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock on a file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _all() -> list[int]:
    return [
        int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
    ]


def _descriptors(pid: int) -> list[str]:
    try:
        return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def _inode_of(path: str) -> str:
    """The inode of a listening unix socket."""
    for row in Path("/proc/net/unix").read_text().splitlines():
        # Connections to it have the same path.
        if row.endswith(" " + path) and row.split()[3] == _LISTENS:
            return row.split()[6]
    raise LookupError(f"nobody listens at {path}")
