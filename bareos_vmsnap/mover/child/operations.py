# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs what the plan says and reports how it ended."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from bareos_vmsnap.mover.child import intake, memory, plan_intake, read, write
from bareos_vmsnap.mover.child.reporter import Reporter
from bareos_vmsnap.mover.plan import ReadPlan, WritePlan


def run(plan_pipe: int, data: int, reporter: Reporter) -> int:
    """Carry out the plan that comes in `plan_pipe`; return the exit status after reporting."""
    plan = None
    try:
        plan, extents = plan_intake.receive(plan_pipe)
        if isinstance(plan, ReadPlan):
            memory.keep_freed_blocks(plan.chunk)
            fields = read.run(plan, extents, data, reporter)
        else:
            memory.keep_freed_blocks(ReadPlan.chunk)
            fields = write.run(plan, data, reporter)
    except Exception as error:  # noqa: BLE001 - whatever it is, the client must learn of it
        reporter.failure(*_cause(error))
        if isinstance(plan, WritePlan):
            # Bareos writes on until the file ends, and would report a broken channel instead.
            intake.drain(data)
        return 1
    reporter.success(fields)
    return 0


def _cause(error: Exception) -> tuple[str, str]:
    """Return kind and message for the report."""
    kind: Any = getattr(error, "kind", None)
    if isinstance(kind, str):
        return kind, str(error)
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return "broken-pipe", "the segment's reader went away before its end"
    if isinstance(error, (OSError, MemoryError)):
        return "system", f"{type(error).__name__}: {error}"
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    return "internal", f"{type(error).__name__}: {error}"
