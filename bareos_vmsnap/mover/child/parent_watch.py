# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Ends this process, and the servers it started, together with the process that started it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import threading

from bareos_vmsnap.mover.child.reporter import Reporter
from bareos_vmsnap.transport import server

EXIT_ORPHANED = 3
EXIT_TERMINATED = 128 + signal.SIGTERM


def watch(lifeline: int, scratch: str, reporter: Reporter) -> None:
    """Watch the read end of a pipe that only the parent can write to, and SIGTERM, in a thread.

    The end of the pipe, whatever its cause, or SIGTERM ends the process at once, whatever its other
    threads do, and removes the scratch directory. SIGINT is ignored: the parent decides what an
    interrupt means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signalled, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    # Python runs handlers between byte codes of the main thread, which may stay in a library for
    # long; the byte that the C handler writes to this pipe arrives at once.
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    threading.Thread(
        target=_wait, args=(lifeline, signalled, scratch, reporter), daemon=True
    ).start()


def _wait(lifeline: int, signalled: int, scratch: str, reporter: Reporter) -> None:
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(signalled, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if lifeline in ready:
            status = EXIT_ORPHANED
            break
        if signal.SIGTERM in os.read(signalled, 64):
            status = EXIT_TERMINATED
            # Before the servers die, since their end would be reported as the cause.
            reporter.failure("mover was ended by SIGTERM", id="mover-terminated")
            break
    server.kill_all()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(status)
