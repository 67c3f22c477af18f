# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Starts our Python processes (standard library only: this runs inside bareos-fd)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO, Optional

from bareos_vmsnap.errors import VmsnapError

_PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_STDERR_TAIL = 2000  # bytes
# Seconds until a caller that waits for a process notices that its job is canceled.
PATIENCE = 0.5
# Seconds until a process that should end is killed.
KILL_GRACE = 2.0


class ProcessError(VmsnapError):
    """One of our processes cannot be started."""

    id = "process-not-started"


def interpreter() -> str:
    """The Python to start processes with.

    In bareos-fd, sys.executable may be missing or not be an interpreter.
    """
    executable = sys.executable or ""
    if os.path.basename(executable).startswith("python"):
        return executable
    return "/usr/bin/python3"


def spawn(
    python: str, arguments: list[str], descriptors: Sequence[int], output: Optional[BinaryIO]
) -> subprocess.Popen[bytes]:
    """Run one of our modules with these descriptors, in its own session. Raises ProcessError."""
    search_path = [_PACKAGE_ROOT, os.environ.get("PYTHONPATH", "")]
    try:
        return subprocess.Popen(
            [python, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=output or subprocess.DEVNULL,
            pass_fds=descriptors,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search_path))},
            start_new_session=True,  # it and its servers form one process group
        )
    except OSError as error:
        raise ProcessError(f"cannot start {python}: {error}") from error


def ending(status: Optional[int]) -> str:
    """How a process ended, as text; empty for success and for a failure that it reports itself."""
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}" if status not in (None, 0, 1) else ""


def last_output(stderr: BinaryIO) -> str:
    """The end of what a process wrote to this file, its standard error."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - _STDERR_TAIL))
    return stderr.read().decode(errors="replace").strip()
