# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The process `vmsnap-block`: it blocks relocation until its lifeline ends or it gets SIGTERM.

The main thread only waits, since a VDDK call may take long, or for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, NoReturn, Optional

from bareos_vmsnap import dataclass_json, system_errors
from bareos_vmsnap.processes import file_lock
from bareos_vmsnap.processes.server_log import ServerLog
from bareos_vmsnap.relocation_block.access_calls import AccessCalls
from bareos_vmsnap.relocation_block.answers import FAILED, MODULE, OTHERS, Answer
from bareos_vmsnap.relocation_block.disklib import VddkLoadError
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.vddk import checks, command
from bareos_vmsnap.transport.vddk.library import Library

NAME = "vmsnap-block"
# How long EndAccess, and the call still running before it, may take when the job is over.
END_LIMIT = 60.0  # seconds
# An earlier job's process may still be ending its block.
_LOCK_LIMIT = END_LIMIT + 5
_POLL = 0.1
_EXIT_LATE = 4


class _Pipes(NamedTuple):
    plan: int
    report: int
    lifeline: int


def main(arguments: Sequence[str]) -> NoReturn:
    """Run with three inherited descriptors, a private directory, and VDDK's libdir and path."""
    *descriptors, directory, libdir, path = arguments
    library = Library(libdir, path)
    if os.environ.get("LD_LIBRARY_PATH") != library.folder:
        _restart(arguments, library, directory)
    pipes = _Pipes(*map(int, descriptors))
    for descriptor in pipes:
        os.set_inheritable(descriptor, False)
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write(NAME)
    signalled = _watch_signals()
    with open(pipes.plan, "rb") as source:
        plan = dataclass_json.decode(BlockPlan, json.load(source), strict=True)
    log = _log(plan)
    worker = _Worker(plan, library, directory, pipes.report, log)
    worker.start()
    in_time = _wait(worker, [pipes.lifeline, signalled])
    if not in_time:
        late = f"VDDK did not return within {END_LIMIT:.0f} s"
        worker.report(Answer(FAILED, late, id="vddk-late"), over=True)
    log.tail()  # takes in the last lines, too
    shutil.rmtree(directory, ignore_errors=True)
    # VDDK's threads, and ours if it hangs in VDDK, end with the process.
    os._exit(0 if in_time else _EXIT_LATE)


def _restart(arguments: Sequence[str], library: Library, directory: str) -> NoReturn:
    """Restart with LD_LIBRARY_PATH, which the loader reads when a process starts.

    VDDK brings its own versions of libraries that Python uses, like libz and libexpat: so those
    that Python has now are loaded first.
    """
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        mapped = [line.rstrip("\n").split(maxsplit=5)[5:] for line in maps]
    ours = sorted({path[0] for path in mapped if path and _is_library(path[0])})
    environment = {
        **command.environment(library, directory, os.environ),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LD_PRELOAD": ":".join(ours),
    }
    os.execve(sys.executable, [sys.executable, "-m", MODULE, *arguments], environment)


def _is_library(path: str) -> bool:
    name = os.path.basename(path)
    # For the loader, a blank or a colon would end the name.
    return name.startswith("lib") and ".so" in name and not set(path) & set(" :")


def _watch_signals() -> int:
    """Return a descriptor that gets a byte with SIGTERM; SIGINT is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    return reading


def _log(plan: BlockPlan) -> ServerLog:
    """Open the log; standard output and error go there from now on."""
    log = ServerLog([plan.vm.password], plan.vm.log, f"{plan.vm.vm} {NAME}")
    for output in (1, 2):
        os.dup2(log.descriptor, output)
    log.started()
    return log


def _wait(worker: _Worker, ends: Sequence[int]) -> bool:
    """Wait for the worker; set `over` once one of `ends` is readable; False if it then is late."""
    poll = select.poll()
    for descriptor in (worker.alive, *ends):
        poll.register(descriptor, select.POLLIN)
    if worker.alive in {descriptor for descriptor, _ in poll.poll()}:
        return True
    worker.over.set()
    for descriptor in ends:
        poll.unregister(descriptor)
    return bool(poll.poll(END_LIMIT * 1000))


class _Worker(threading.Thread):
    """Calls VDDK. `alive` is a descriptor that ends with it."""

    def __init__(
        self,
        plan: BlockPlan,
        library: Library,
        directory: str,
        report: int,
        log: ServerLog,
    ) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.alive, self._ending = os.pipe()
        self._plan = plan
        self._report_pipe = report
        self._log = log
        self._library = library
        self._directory = directory

    def run(self) -> None:
        try:
            checks.check(self._plan.vm, writable=False)
            access = AccessCalls(self._plan.vm, self._library, self._directory)
            if self._plan.probe:
                self._probe(access)
            else:
                self._block(access)
        except Exception as error:  # noqa: BLE001 - the job must learn of any error
            cause = system_errors.translated(error)
            if isinstance(cause, system_errors.UnexpectedError):
                traceback.print_exc()
            text = str(cause).rstrip(".") if cause.todo else cause.what
            self.report(Answer(FAILED, text, id=cause.id))
        os.close(self._ending)

    def _probe(self, access: AccessCalls) -> None:
        try:
            answer = access.load()
        except VddkLoadError as error:
            answer = Answer(FAILED, f"VMware's VDDK cannot be loaded: {error.what}", id=error.id)
        self.report(answer)
        self.report(answer, over=True)

    def _block(self, access: AccessCalls) -> None:
        lock = self._lock()
        if lock is None:
            self.report(Answer(OTHERS, "another job of this file daemon"))
            return
        answer = access.prepare(disabled=self._plan.disabled)
        self.report(answer)
        if answer.blocked:
            self.over.wait()
            self.report(access.end(), over=True)
        access.close()

    def _lock(self) -> Optional[int]:
        """Get the VM's lock, which the kernel frees when its process dies; None if it is taken."""
        deadline = time.monotonic() + _LOCK_LIMIT
        while time.monotonic() < deadline and not self.over.is_set():
            lock = file_lock.lock(self._plan.lock)
            if lock is not None:
                return lock
            time.sleep(_POLL)
        return None

    def report(self, answer: Answer, *, over: bool = False) -> None:
        """Send an answer. `over`: it is about the end, not the beginning."""
        message = self._log.clean(answer.message.encode())
        line = json.dumps(dataclass_json.encode(replace(answer, message=message, over=over)))
        with contextlib.suppress(BrokenPipeError):  # the job is gone
            os.write(self._report_pipe, line.encode() + b"\n")
