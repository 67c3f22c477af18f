# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Starts a mover and talks to it (standard library only: this runs inside bareos-fd).

No threads, no signal handlers, no fork without exec. The data does not pass through here: Bareos
reads or writes `data_fd`, one end of a channel to the mover.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import time
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import BinaryIO, Callable, Optional, Union

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.mover import wire
from bareos_vmsnap.mover.client import launch
from bareos_vmsnap.mover.plan import Plan, ReadPlan, WritePlan
from bareos_vmsnap.mover.report import (
    Admitted,
    Event,
    Failure,
    MoverError,
    Queued,
    Ready,
    Report,
)
from bareos_vmsnap.processes import scratch
from bareos_vmsnap.processes.pipes import Channel, Pipe
from bareos_vmsnap.processes.report_lines import ReportLines
from bareos_vmsnap.processes.spawn import KILL_GRACE, PATIENCE, last_output

# Seconds without the mover taking any of its plan until it counts as stuck.
FEED_TIMEOUT = 120.0
# Seconds without a sign of life while the mover opens disks.
OPEN_TIMEOUT = 300.0
# How long a mover may take to end after its last byte, in seconds: one that has written flushes the
# disk first, and may read everything back.
READ_END_TIMEOUT = 60.0
WRITE_END_TIMEOUT = 3600.0
_PIECE = 1 << 20  # bytes


class Mover:
    """A mover process. `data_fd` is our end of the channel that the segment passes through.

    The process ends when the context does, when this object is deleted, and when this process ends,
    whatever the cause. All methods but `kill` belong to one thread.
    """

    def __init__(self, *, reads: bool, launcher: Optional[launch.Launcher] = None):
        """Start a process that waits for its plan. Use `read` or `write` instead."""
        self._killed = self._ready = False
        self._queue: Union[Queued, Admitted, None] = None
        self._final: Union[Report, Failure, None] = None
        self._outcome: Union[Report, MoverError, None] = None
        directory = scratch.make_directory()
        self._remove_scratch = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._stderr = open(os.path.join(directory, "stderr"), "w+b")  # noqa: SIM115 - stays open
        plan = Pipe(self, ours="write")
        data = Channel(self, ours="read" if reads else "write")
        report = Pipe(self, ours="read")
        # The mover ends when the last writing end of this pipe is closed; only we have one.
        lifeline = Pipe(self, ours="write")
        self.data_fd, self.close_data = data.ours, data.close
        self._plan_fd, self._close_plan = plan.ours, plan.close
        self._reports, self._close_report = ReportLines(report.ours), report.close
        self._close_lifeline = lifeline.close
        os.set_blocking(self._plan_fd, False)
        try:
            self._process = (launcher or launch.Interpreter()).start(
                [end.theirs for end in (plan, data, report, lifeline)], directory, self._stderr
            )
        except BaseException:
            self._close()
            raise
        finally:
            for end in (plan, data, report, lifeline):
                os.close(end.theirs)

    @classmethod
    def read(
        cls,
        plan: ReadPlan,
        extents: Iterable[tuple[int, int]] = (),
        *,
        launcher: Optional[launch.Launcher] = None,
    ) -> Mover:
        """Start reading a disk to a segment; return once the mover has its plan.

        `extents` are sorted (start, length) in bytes, passed on as they come. `launcher` starts the
        process, by default in a new interpreter. Raises MoverError, and whatever iterating over the
        extents raises.
        """
        return cls(reads=True, launcher=launcher)._feed(plan, extents)

    @classmethod
    def write(cls, plan: WritePlan, *, launcher: Optional[launch.Launcher] = None) -> Mover:
        """Start writing a segment to a disk; return once the mover has its plan."""
        return cls(reads=False, launcher=launcher)._feed(plan, ())

    def wait_ready(
        self,
        timeout: float,
        *,
        inform: Callable[[str], None] = lambda text: None,
        canceled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait until the disks are open, so that their problems are known before data flows.

        The mover may wait for its turn to connect for any time; `inform` is called with sentences
        about that. Raises MoverError if the mover fails, or otherwise gives no sign of life for
        `timeout` seconds, or (id "mover-killed") once `canceled` returns true.
        """
        deadline = time.monotonic() + timeout
        while not self._ready and self._final is None and not self._reports.ended:
            if canceled():
                self.kill()
                break
            before = self._queue
            if self._receive(min(deadline, time.monotonic() + PATIENCE)) or isinstance(
                self._queue, Queued
            ):
                deadline = time.monotonic() + timeout
            elif time.monotonic() >= deadline:
                break
            if self._queue != before:
                inform(str(self._queue))
        if not self._ready:
            self._finish(KILL_GRACE, f"mover was not ready within {timeout:.0f} s")

    def feed(self, source: BinaryIO) -> None:
        """Write a segment from a file, if Bareos' core does not do so.

        Raises OSError if the file cannot be read. If the mover gives up, this returns, and `finish`
        raises the reason.
        """
        while piece := source.read(_PIECE):
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[os.write(self.data_fd, rest) :]
                except (BrokenPipeError, ConnectionResetError):
                    return

    def finish(self, timeout: float) -> Report:
        """Wait for the mover to end and return its report, once all data has flowed.

        Closes `data_fd`. Raises MoverError unless the mover reports success, ends with status 0,
        and its totals add up; after `timeout` seconds it is killed.
        """
        return self._finish(timeout, f"mover did not end within {timeout:.0f} s")

    def kill(self) -> None:
        """End the mover and the servers it started; safe to call again, and from any thread."""
        if self._process.poll() is None:
            self._killed = True
        self._close_lifeline()
        self._process.terminate()
        try:
            self._process.wait(KILL_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            # One that hangs in the kernel ends when it can; the clean-up must go on.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_GRACE)

    def __enter__(self) -> Mover:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.kill()
        self._close()

    def _feed(self, plan: Plan, extents: Iterable[tuple[int, int]]) -> Mover:
        try:
            for piece in wire.pack(plan, extents):
                self._hand_over(piece)
        except BaseException:
            with self:
                raise
        self._close_plan()
        return self

    def _hand_over(self, piece: bytes) -> None:
        poll = select.poll()
        poll.register(self._plan_fd, select.POLLOUT)
        rest = memoryview(piece)
        while rest:
            if not poll.poll(FEED_TIMEOUT * 1000):
                self._finish(0, f"mover took none of its plan for {FEED_TIMEOUT:.0f} s")
            try:
                rest = rest[os.write(self._plan_fd, rest) :]
            except BrokenPipeError:
                self._finish(KILL_GRACE, "mover stopped taking its plan")
                raise

    def _receive(self, deadline: float) -> bool:
        """Take in the mover's reports, waiting if necessary; False at their end or the deadline."""
        if not self._reports.wait(deadline):
            return False
        try:
            events: list[Event] = [
                dataclass_json.decode(Event, line, strict=True) for line in self._reports.read()
            ]
        except ValueError as error:
            raise self._error(
                f"mover sent what is no report: {error}", id="mover-report"
            ) from error
        for event in events:
            if isinstance(event, (Report, Failure)):
                self._final = self._final or event  # the first is the cause of all others
            elif isinstance(event, Ready):
                self._ready = True
            elif isinstance(event, (Queued, Admitted)):
                self._queue = event
        return not self._reports.ended

    def _finish(self, timeout: float, late_message: str) -> Report:
        if self._outcome is None:
            with self:
                try:
                    self._outcome = self._end(time.monotonic() + timeout, late_message)
                except MoverError as error:
                    self._outcome = error
        if isinstance(self._outcome, MoverError):
            raise self._outcome
        return self._outcome

    def _end(self, deadline: float, late_message: str) -> Report:
        self.close_data()
        while self._receive(deadline):
            pass
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._error(late_message, id="mover-late") from None
        return self._judge(status)

    def _judge(self, status: int) -> Report:
        """Return the report of a mover that succeeded, or raise MoverError."""
        final = self._final
        if self._killed and status != 0:
            # A report of its servers' end, meanwhile, is not the cause.
            raise self._error("mover was stopped before its end", id="mover-killed")
        if final is None:
            raise self._error("mover ended without a report", id="mover-died")
        if isinstance(final, Failure):
            raise self._error(final.message, id=final.id)
        if status != 0:
            raise self._error("mover reported success but did not end well", id="mover-died")
        try:
            final.check()
        except ValueError as error:
            raise self._error(f"totals do not add up: {error}", id="mover-report") from error
        return final

    def _error(self, reason: str, *, id: str) -> MoverError:
        return MoverError(reason, self._process.ending(), last_output(self._stderr), id=id)

    def _close(self) -> None:
        for close in (
            self.close_data,
            self._close_plan,
            self._close_report,
            self._close_lifeline,
            self._stderr.close,
            self._remove_scratch,
        ):
            close()
