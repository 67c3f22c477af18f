# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Limits how many bytes a second are read from or written to a disk."""

from __future__ import annotations

import threading
import time
from typing import Callable

# Seconds' worth of unused rate that may be moved at once.
_BURST = 0.25


class RateLimiter:
    """Shared by several threads. `rate` is in bytes per second, 0 for no limit."""

    def __init__(
        self,
        rate: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._due = clock()

    def wait(self, size: int) -> None:
        """Return when `size` more bytes may be moved."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now - _BURST)
            wait = self._due - now
            self._due += size / self._rate
        if wait > 0:
            self._sleep(wait)
