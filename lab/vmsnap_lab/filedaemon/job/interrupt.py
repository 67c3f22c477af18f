# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The core's own reads and writes, which a cancel interrupts with a signal as bareos-fd does.

Python code of the plugin is not interrupted: it retries its system call after the signal.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNAL = signal.SIGUSR2
_AGAIN = 0.02  # seconds until the signal is repeated: it may have come just before the system call


class Interrupted(Exception):
    """The system call ended with EINTR."""


class CoreIo:
    """Make one on the job's thread, before signal.signal is taken away."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._active = False
        self._interrupting = False
        signal.signal(_SIGNAL, self._on_signal)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Around a system call that may block. Raises Interrupted inside."""
        self._active = True
        try:
            yield
        finally:
            self._active = False

    def interrupt(self) -> None:
        """From another thread: end the system call under way, if there is one."""
        self._interrupting = True
        while self._active:
            signal.pthread_kill(self._thread, _SIGNAL)
            time.sleep(_AGAIN)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._active and self._interrupting:
            self._active = False
            raise Interrupted
