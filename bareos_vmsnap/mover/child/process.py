# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover's process (standard library only, so that it can report missing modules)."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence

from bareos_vmsnap.mover.child import parent_watch
from bareos_vmsnap.mover.child.reporter import Reporter


def main(arguments: Sequence[str]) -> None:
    """Run with four inherited descriptors, plan, data, report, lifeline, and a scratch directory.

    Never returns: exits with 0 after reporting success, with 1 after reporting a failure, or with
    a status of `parent_watch`.
    """
    *descriptors, scratch = arguments
    plan, data, report, alive = map(int, descriptors)
    for descriptor in (plan, data, report, alive):
        os.set_inheritable(descriptor, False)
    tempfile.tempdir = scratch
    name("vmsnap-mover")
    reporter = Reporter(report)
    parent_watch.watch(alive, scratch, reporter)
    status = _run(plan, data, reporter)
    sys.stderr.flush()
    shutil.rmtree(scratch, ignore_errors=True)
    # Threads may be stuck in a channel that nobody reads or in a server that does not answer.
    os._exit(status)


def name(process: str) -> None:
    """Have `ps` and `top` show this process under that name, of at most 15 characters."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write(process)


def _run(plan: int, data: int, reporter: Reporter) -> int:
    try:
        operations = importlib.import_module("bareos_vmsnap.mover.child.operations")
    except ImportError as error:
        reporter.failure(
            f"{sys.executable} (Python {sys.version.split()[0]}) lacks a module: {error};"
            " nbd comes from the distribution's package python3-libnbd",
            id="module-missing",
        )
        return 1
    status: int = operations.run(plan, data, reporter)
    return status
