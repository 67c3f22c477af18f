# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The segments of a backup in their order, the next one made ready while the present one flows.

Opening a disk through VDDK takes seconds, and so does a new process with its modules. While Bareos'
core moves data no Python runs here, so the next mover is started before: it opens its disks, asks
what is allocated, fills its pipe and waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

from bareos_vmsnap.fd.items import SegmentFile
from bareos_vmsnap.mover import client
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
    ) -> None:
        self._tasks = deque(tasks)
        self._make = make
        self._prepared: Optional[_Prepared] = None

    def take(self) -> Optional[SegmentFile]:
        """The next segment, None at the end."""
        if self._prepared is not None:
            if self._prepared.failure is not None:
                raise self._prepared.failure
            return self._prepared.item
        return self._make(self._tasks.popleft()) if self._tasks else None

    def start(self, item: SegmentFile) -> client.Mover:
        """The mover of the item taken last; it may not be ready yet. Raises client.MoverError."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.mover is not None:
            return prepared.mover
        return client.Mover.read(item.plan, item.extents)

    def prepare(self) -> None:
        """Start the mover of the segment after the present one."""
        if not self._tasks:
            return
        try:
            item = self._make(self._tasks.popleft())
            self._prepared = _Prepared(item, client.Mover.read(item.plan, item.extents))
        except Exception as error:  # noqa: BLE001 - raised when its turn comes
            self._prepared = _Prepared(failure=error)

    def close(self) -> None:
        """Kill what waits for its turn; safe to call again."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.mover is not None:
            prepared.mover.kill()
