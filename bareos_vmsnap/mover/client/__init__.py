# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The part that runs in bareos-fd: starts the mover's process and talks to it.

Standard library only, no threads, no signal handlers, no fork without exec.
"""

from bareos_vmsnap.mover.client.launch import ForkServerClient, Interpreter, Launcher
from bareos_vmsnap.mover.client.mover import (
    OPEN_TIMEOUT,
    READ_END_TIMEOUT,
    WRITE_END_TIMEOUT,
    Mover,
)
from bareos_vmsnap.mover.report import MoverError, Report

__all__ = [
    "OPEN_TIMEOUT",
    "READ_END_TIMEOUT",
    "WRITE_END_TIMEOUT",
    "ForkServerClient",
    "Interpreter",
    "Launcher",
    "Mover",
    "MoverError",
    "Report",
]
