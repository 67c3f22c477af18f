# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Failures of this machine and its connections, explained to an admin."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import subprocess
import traceback
from typing import NamedTuple, Optional, Union

from bareos_vmsnap.errors import VmsnapError


class MachineError(VmsnapError):
    """An operation on this machine or one of its connections failed."""


class UnexpectedError(VmsnapError):
    """An unforeseen failure: a bug in this program."""

    id = "unexpected"


class _Kind(NamedTuple):
    """What the errors of one kind share."""

    id: str
    todo: str


_FULL = _Kind(id="disk-full", todo="Make room there")
_MISSING = _Kind(
    id="file-missing",
    todo="Check the path. If it is right: what has removed it?",
)
_UNFIT = _Kind(
    id="path-unfit",
    todo="Use another path, or move away what is in its way",
)
_FORBIDDEN = _Kind(
    id="file-forbidden",
    todo="Let the user that this program runs as read and write there; see SELinux or AppArmor, too",
)
_READ_ONLY = _Kind(
    id="file-system-read-only",
    todo="Mount the file system for writing; the kernel's log tells if it has found it damaged",
)
_FAULTY = _Kind(
    id="file-io-error",
    todo="See the kernel's log: the disk or the network file system may be damaged or gone",
)
_TOO_MANY = _Kind(
    id="too-many-files",
    todo="Raise the limit of open files (LimitNOFILE in a systemd unit), or run less at a time",
)
_MEMORY = _Kind(
    id="no-memory",
    todo="Give this machine more memory, or run less at a time",
)
_OTHER = _Kind(
    id="system-refused",
    todo="Mend what it says and try again; if it is not clear, see the kernel's log",
)
_TIMEOUT = _Kind(
    id="connection-timeout",
    todo="Are vCenter, the ESXi hosts and what lies in between overloaded? Try again",
)
_LOST = _Kind(
    id="connection-lost",
    todo="Was vCenter, an ESXi host or the network down? Try again",
)
_TLS = _Kind(
    id="tls-failed",
    todo="Check vcthumbprint or ca_file, and what lies between this machine and vCenter",
)

_BY_NUMBER = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _UNFIT,
    errno.EISDIR: _UNFIT,
    errno.ELOOP: _UNFIT,
    errno.ENAMETOOLONG: _UNFIT,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _READ_ONLY,
    errno.EIO: _FAULTY,
    errno.ESTALE: _FAULTY,
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
    errno.ENOMEM: _MEMORY,
    errno.ETIMEDOUT: _TIMEOUT,
    errno.EHOSTUNREACH: _LOST,
    errno.ENETUNREACH: _LOST,
}


def translated(error: BaseException) -> VmsnapError:
    """The error itself if it is ours, else a VmsnapError that explains it to an admin."""
    if isinstance(error, VmsnapError):
        return error
    explained = _of_program(error) or _of_machine(error) or _unexpected(error)
    explained.__cause__ = error
    return explained


def _of_machine(error: BaseException) -> Optional[MachineError]:
    kind = _kind(error)
    if kind is None:
        return None
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    file = getattr(error, "filename", None)
    if kind in (_TIMEOUT, _LOST, _TLS):
        reason = f"A connection failed: {reason}"
    elif file is not None:
        reason = f"{reason}: {_name(file)}"
    return MachineError(reason, todo=kind.todo, id=kind.id)


def _kind(error: BaseException) -> Optional[_Kind]:
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, ssl.SSLError):
        return _TLS  # its number is not a system error number
    if isinstance(error, (socket.timeout, TimeoutError)):  # two classes before Python 3.10
        return _TIMEOUT
    if isinstance(
        error,
        (ConnectionError, socket.gaierror, socket.herror, http.client.HTTPException, EOFError),
    ):
        return _LOST
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0, _OTHER)
    return None


def _of_program(error: BaseException) -> Optional[MachineError]:
    if isinstance(error, subprocess.TimeoutExpired):
        return MachineError(
            f"{_program(error)} did not end within {error.timeout:.0f} s",
            todo="Is this machine overloaded, or one of its disks stuck? Try again",
            id="program-late",
        )
    if isinstance(error, subprocess.CalledProcessError):
        status = error.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        output = error.stderr or error.output or ""
        lines = (output if isinstance(output, str) else os.fsdecode(output)).strip().splitlines()
        return MachineError(
            f"{_program(error)} {how}" + (f": {lines[-1]}" if lines else ""),
            todo="Mend what it says and try again",
            id="program-failed",
        )
    return None


def _program(error: Union[subprocess.TimeoutExpired, subprocess.CalledProcessError]) -> str:
    command = error.cmd
    return _name(command[0] if isinstance(command, (list, tuple)) else command)


def _name(file: object) -> str:
    return os.fsdecode(file) if isinstance(file, (bytes, os.PathLike)) else str(file)


def _unexpected(error: BaseException) -> UnexpectedError:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    place = ", ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in reversed(frames))
    return UnexpectedError(
        f"Unexpected {type(error).__name__}: {error} (at {place}). This is a fault of "
        "bareos-vmsnap: please report it with this message"
    )
