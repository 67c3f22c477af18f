# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What processes cost: CPU seconds, and the most memory they ever had."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Optional

_TICK = os.sysconf("SC_CLK_TCK")
_LOOK = 0.1  # seconds between two looks at the memory of all processes below this one
_KINDS = {
    "bareos_vmsnap.mover": "mover",
    "filedaemon": "job",
    "nbdkit": "server",
    "qemu-nbd": "server",
    "nbdcopy": "nbdcopy",
    "bareos-fd": "bareos-fd",
}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process that runs, and of its children that have ended."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK if fields else 0.0


def peak_memory(pid: int) -> int:
    """The most bytes that were ever resident; 0 if the process is gone."""
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak(pid: int) -> None:
    """Let the peak start anew from what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait(process: subprocess.Popen[bytes]) -> float:
    """Wait for a child; return its CPU seconds. Raises RuntimeError if it failed."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    pending = [pid]
    while pending:
        try:
            tasks = os.listdir(f"/proc/{pending[0]}/task")
        except FileNotFoundError:
            tasks = []
        parent = pending.pop(0)
        for task in tasks:
            children = [int(word) for word in _read(parent, f"task/{task}/children").split()]
            found += children
            pending += children
    return found


class MemoryWatch:
    """While it is entered, notes the peaks of the processes below this one, by kind, in bytes.

    Peaks are the kernel's own (VmHWM): only what a process adds in its last moments is missed.
    """

    def __init__(self, others: Iterable[int] = ()) -> None:
        """`others`: processes that are not below this one."""
        self.peaks: dict[str, int] = {}
        self._others = list(others)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ends.wait(_LOOK):
            for pid in [*descendants(os.getpid()), *self._others]:
                self._note(pid)

    def _note(self, pid: int) -> None:
        kind, peak = _kind(pid), peak_memory(pid)
        if kind and peak:
            self.peaks[kind] = max(peak, self.peaks.get(kind, 0))


def _kind(pid: int) -> str:
    """Asked each time: before exec a child goes by its parent's name."""
    words = _read(pid, "cmdline").replace("\0", " ")
    return next((kind for word, kind in _KINDS.items() if word in words), "")


def _read(pid: int, what: str) -> str:
    try:
        return Path(f"/proc/{pid}/{what}").read_text(errors="replace")
    except OSError:
        return ""


def settle(seconds: float = 0.1) -> None:
    """Let what has just ended leave the processors."""
    time.sleep(seconds)
