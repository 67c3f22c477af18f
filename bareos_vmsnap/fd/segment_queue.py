# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segments of a backup in order; the next one is prepared while the current one is sent.

Opening a disk through VDDK takes seconds, and so does starting a process with its modules. No
Python runs here while Bareos' core moves data, so the next mover is started before: it opens its
disks, asks what is allocated, fills its channel and waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

from bareos_vmsnap.fd.items import SegmentFile
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import Launcher
from bareos_vmsnap.tree import plan_backup


class _Prepared(NamedTuple):
    """The next segment, or the error to raise when its turn comes."""

    item: Optional[SegmentFile] = None
    mover: Optional[client.Mover] = None
    failure: Optional[Exception] = None


class SegmentQueue:
    """Use: take() an item, start() its mover, prepare() the next; close() always.

    `make` makes a segment file from a planned task; take() raises what it raises.
    """

    def __init__(
        self,
        tasks: Sequence[plan_backup.Task],
        make: Callable[[plan_backup.Task], SegmentFile],
        launcher: Launcher,
    ) -> None:
        self._tasks = deque(tasks)
        self._make = make
        self._launcher = launcher
        self._current: Optional[_Prepared] = None
        self._prepared: Optional[_Prepared] = None

    def take(self) -> Optional[SegmentFile]:
        """The next segment, or None at the end. One taken but not started is given up."""
        _kill(self._current)
        self._current, self._prepared = self._prepared, None
        if self._current is None and self._tasks:
            self._current = _Prepared(self._make(self._tasks.popleft()))
        if self._current is None:
            return None
        if self._current.failure is not None:
            raise self._current.failure
        return self._current.item

    def start(self, item: SegmentFile) -> client.Mover:
        """The mover of the item taken last; it may not be ready yet. Raises client.MoverError."""
        current, self._current = self._current, None
        if current is not None and current.mover is not None:
            return current.mover
        return self._mover(item)

    def prepare(self) -> None:
        """Start the mover of the segment after the current one."""
        if not self._tasks:
            return
        try:
            item = self._make(self._tasks.popleft())
            self._prepared = _Prepared(item, self._mover(item))
        except Exception as error:  # noqa: BLE001 - raised when its turn comes
            self._prepared = _Prepared(failure=error)

    def close(self) -> None:
        """Kill what waits for its turn; safe to call again."""
        _kill(self._current)
        _kill(self._prepared)
        self._current = self._prepared = None

    def _mover(self, item: SegmentFile) -> client.Mover:
        return client.Mover.read(item.plan, item.extents, launcher=self._launcher)


def _kill(prepared: Optional[_Prepared]) -> None:
    if prepared is not None and prepared.mover is not None:
        prepared.mover.kill()
