# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Starts `vmsnap-block` and ends it (standard library only: this runs inside bareos-fd).

No threads, no signal handlers, no fork without exec.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import weakref
from typing import Callable, Optional

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.processes import scratch
from bareos_vmsnap.processes.pipes import Pipe
from bareos_vmsnap.processes.report_lines import ReportLines
from bareos_vmsnap.processes.spawn import (
    KILL_GRACE,
    PATIENCE,
    ending,
    interpreter,
    last_output,
    spawn,
)
from bareos_vmsnap.relocation_block.answers import CANCELED, FAILED, MODULE, Answer
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.vddk import library

START_TIMEOUT = 120.0  # seconds until VDDK is given up
# Longer than the process itself waits for VDDK.
RELEASE_TIMEOUT = 70.0
# For a process that was given up: it has had its time.
_GIVEN_UP_TIMEOUT = 10.0


class BlockProcess:
    """Keeps vCenter from migrating a VM while this object and its process exist.

    Whatever ends this process ends that one, too. All methods belong to one thread.
    """

    def __init__(self, plan: BlockPlan) -> None:
        """Start the process; wait() returns its answer.

        Raises TransportError if there is no VDDK, ProcessError if no process can be started.
        """
        found = library.find(plan.vm.libdir)
        self._begin: Optional[Answer] = None
        self._end: Optional[Answer] = None
        self._given_up = False
        directory = scratch.make_directory()
        self._remove_scratch = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._stderr = open(os.path.join(directory, "stderr"), "w+b")  # noqa: SIM115 - stays open
        plan_pipe, report = Pipe(self, ours="write"), Pipe(self, ours="read")
        # The process ends when the last writing end of this pipe is closed; only we have one.
        lifeline = Pipe(self, ours="write")
        self._reports, self._close_report = ReportLines(report.ours), report.close
        self._released = False
        self._close_lifeline = lifeline.close
        theirs = [pipe.theirs for pipe in (plan_pipe, report, lifeline)]
        arguments = [MODULE, *map(str, theirs), directory, found.libdir, found.path]
        try:
            self._process = spawn(interpreter(), arguments, theirs, self._stderr)
        except BaseException:
            plan_pipe.close()
            self._close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        rest = memoryview(json.dumps(dataclass_json.encode(plan)).encode())
        # If it has ended already, wait() reports that.
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(plan_pipe.ours, rest) :]
        plan_pipe.close()

    def wait(
        self, timeout: float = START_TIMEOUT, canceled: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Return how the block began. After `timeout` seconds, or once `canceled` returns true, it
        is given up: then the process itself undoes what it may still do.
        """
        deadline = time.monotonic() + timeout
        while self._begin is None:
            if canceled():
                return self._give_up(Answer(CANCELED))
            if time.monotonic() >= deadline:
                return self._give_up(
                    Answer(FAILED, f"VDDK gave no answer in {timeout:.0f} s", id="vddk-late")
                )
            if not self._receive(min(deadline, time.monotonic() + PATIENCE)):
                return Answer(FAILED, self._early_end(), id="block-process-ended")
        if not self._begin.blocked:
            self._close_lifeline()
        return self._begin

    def release(self, timeout: float = RELEASE_TIMEOUT) -> str:
        """End the block; safe to call again. Returns what went wrong if vCenter may still refuse to
        migrate the VM because of us, else "".
        """
        if self._released:
            return ""
        self._close_lifeline()
        deadline = time.monotonic() + (_GIVEN_UP_TIMEOUT if self._given_up else timeout)
        while time.monotonic() < deadline and self._receive(deadline):
            pass
        problem = self._problem()
        try:
            self._process.wait(max(KILL_GRACE, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            # One that hangs in the kernel ends when it can; the job must go on.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_GRACE)
        self._close()
        return problem

    def _give_up(self, answer: Answer) -> Answer:
        self._given_up = True
        self._close_lifeline()
        return answer

    def _problem(self) -> str:
        if self._end is not None:
            return self._end.message if self._end.outcome == FAILED else ""
        if self._begin is not None:
            return self._early_end() if self._begin.blocked else ""
        return "VDDK did not return" if self._given_up else ""

    def _receive(self, deadline: float) -> bool:
        """Take in the process's reports, waiting if necessary; False at their end."""
        if not self._reports.wait(deadline):
            return True
        for report in self._reports.read():
            answer = dataclass_json.decode(Answer, report, strict=True)
            if answer.over:
                self._end = answer
            else:
                self._begin = answer
        return not self._reports.ended

    def _early_end(self) -> str:
        try:
            status = self._process.wait(KILL_GRACE)
        except subprocess.TimeoutExpired:
            return "its process did not end"
        tail = last_output(self._stderr)
        how = ending(status) or f"exit status {status}"
        return f"its process ended early ({how})" + (f"; last output: {tail}" if tail else "")

    def _close(self) -> None:
        self._released = True
        for close in (
            self._close_lifeline,
            self._close_report,
            self._stderr.close,
            self._remove_scratch,
        ):
            close()
