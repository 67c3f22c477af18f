# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Carries out the plan and reports how that ended."""

from __future__ import annotations

import sys
import traceback

from bareos_vmsnap import system_errors
from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.mover.child import intake, memory, plan_intake, read, write
from bareos_vmsnap.mover.child.errors import ReaderGoneError
from bareos_vmsnap.mover.child.reporter import Reporter
from bareos_vmsnap.mover.plan import ReadPlan, WritePlan


def run(plan_pipe: int, data: int, reporter: Reporter) -> int:
    """Carry out the plan from `plan_pipe`, report the outcome, and return the exit status."""
    plan = None
    try:
        plan, extents = plan_intake.receive(plan_pipe)
        if isinstance(plan, ReadPlan):
            memory.keep_freed_blocks(plan.chunk)
            report = read.run(plan, extents, data, reporter)
        else:
            memory.keep_freed_blocks(ReadPlan.chunk)
            report = write.run(plan, data, reporter)
    except Exception as error:  # noqa: BLE001 - the client must learn of any error
        cause = _cause(error)
        reporter.failure(str(cause).rstrip(".") if cause.todo else cause.what, id=cause.id)
        if isinstance(plan, WritePlan):
            # Bareos writes until the file ends, and would report a broken channel instead.
            intake.drain(data)
        return 1
    reporter.success(report)
    return 0


def _cause(error: Exception) -> VmsnapError:
    """Return the error with the message and id to report."""
    if isinstance(error, VmsnapError):
        return error
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return ReaderGoneError("the segment's reader went away before its end")
    translation = system_errors.translated(error)
    if isinstance(translation, system_errors.UnexpectedError):
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    return translation
