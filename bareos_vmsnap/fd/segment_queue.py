# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segments of a backup in their order, the next one made ready while the present one flows.

Opening a disk through VDDK takes seconds, and so does a new process with its modules. While Bareos'
core moves data no Python runs here, so the next mover is started before: it opens its disks, asks
what is allocated, fills its channel and waits.
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
    """The next segment, or what went wrong with it: told when its turn comes."""

    item: Optional[SegmentFile] = None
    mover: Optional[client.Mover] = None
    failure: Optional[Exception] = None


class SegmentQueue:
    """Use: take() an item, start() its mover, prepare() the next; close() always.

    `make` makes a segment file of a planned task; what it raises, take() raises.
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
        self._present: Optional[_Prepared] = None
        self._prepared: Optional[_Prepared] = None

    def take(self) -> Optional[SegmentFile]:
        """The next segment, None at the end. One that was taken and not started is given up."""
        _kill(self._present)
        self._present, self._prepared = self._prepared, None
        if self._present is None and self._tasks:
            self._present = _Prepared(self._make(self._tasks.popleft()))
        if self._present is None:
            return None
        if self._present.failure is not None:
            raise self._present.failure
        return self._present.item

    def start(self, item: SegmentFile) -> client.Mover:
        """The mover of the item taken last; it may not be ready yet. Raises client.MoverError."""
        present, self._present = self._present, None
        if present is not None and present.mover is not None:
            return present.mover
        return self._mover(item)

    def prepare(self) -> None:
        """Start the mover of the segment after the present one."""
        if not self._tasks:
            return
        try:
            item = self._make(self._tasks.popleft())
            self._prepared = _Prepared(item, self._mover(item))
        except Exception as error:  # noqa: BLE001 - raised when its turn comes
            self._prepared = _Prepared(failure=error)

    def close(self) -> None:
        """Kill what waits for its turn; safe to call again."""
        _kill(self._present)
        _kill(self._prepared)
        self._present = self._prepared = None

    def _mover(self, item: SegmentFile) -> client.Mover:
        return client.Mover.read(item.plan, item.extents, launcher=self._launcher)


def _kill(prepared: Optional[_Prepared]) -> None:
    if prepared is not None and prepared.mover is not None:
        prepared.mover.kill()
