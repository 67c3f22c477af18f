# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""When and how a job is brought to an end from outside."""

from __future__ import annotations

import threading
from typing import Callable, Optional


class Cancel:
    """Cancels a job, or kills its file daemon, at a moment of its run or at request().

    Arguments:
        at: the label of a call into the plugin (`PluginCall.label`, as in `plugin_io IO_READ` or
            `start_backup_file`); the job is canceled while the plugin is in its `count`-th call.
        stored: canceled as soon as that many bytes of file data have come to the storage.
        signal: None for the Director's cancel; else the signal (SIGKILL, SIGTERM) that the file
            daemon gets instead.
    """

    def __init__(
        self,
        at: Optional[str] = None,
        count: int = 1,
        *,
        stored: Optional[int] = None,
        signal: Optional[int] = None,
    ) -> None:
        self.signal = signal
        self._at = at
        self._count = count
        self._stored = stored
        self._lock = threading.Lock()
        self._requested = False
        self._act: Optional[Callable[[], None]] = None

    @property
    def watches_data(self) -> bool:
        """Whether on_stored() is to be called for each block, and the job to wait meanwhile."""
        return self._stored is not None

    def reached(self) -> None:
        """The moment has come, or is past."""
        self.request()

    def request(self) -> None:
        """Cancel now. Once is enough; before the job's start it takes effect at the start."""
        with self._lock:
            first, self._requested = not self._requested, True
            act = self._act if first else None
        if act is not None:
            act()

    def attach(self, act: Callable[[], None]) -> None:
        """`act` is what cancels the job that starts now."""
        with self._lock:
            self._act = act
            act_now = self._requested
        if act_now:
            act()

    def on_call(self, label: str) -> None:
        if label == self._at:
            self._count -= 1
            if self._count == 0:
                self.reached()

    def on_stored(self, size: int) -> None:
        if self._stored is not None:
            self._stored -= size
            if self._stored <= 0:
                self.reached()
