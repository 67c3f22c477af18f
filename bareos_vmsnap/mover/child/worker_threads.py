# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Threads for the tasks of one operation, which fails with the first of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Callable, Optional


class WorkerThreads:
    """Tasks in threads of their own.

    They do not keep the process from ending: one may be stuck in a channel that nobody reads.
    """

    def __init__(self, tasks: Sequence[Callable[[], None]]):
        self._left = len(tasks)
        self._outcomes: queue.SimpleQueue[Optional[BaseException]] = queue.SimpleQueue()
        for task in tasks:
            threading.Thread(target=self._run, args=(task,), daemon=True).start()

    def wait(
        self, interval: Optional[float] = None, tick: Callable[[], None] = lambda: None
    ) -> None:
        """Return when all tasks are done; call `tick` about every `interval` seconds until then.

        Raises the exception of the first task that fails, at once: others may still be running.
        """
        while self._left:
            try:
                outcome = self._outcomes.get(timeout=interval)
            except queue.Empty:
                tick()
                continue
            if outcome is not None:
                raise outcome
            self._left -= 1

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - wait() raises it
            self._outcomes.put(error)
        else:
            self._outcomes.put(None)
