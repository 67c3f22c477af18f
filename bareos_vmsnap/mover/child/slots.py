# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Connection slots that all movers of a machine share: file locks, freed when their process ends.

A *scope* (ConnectionLimit) is a vCenter or an ESXi host, which limits its connections. Its slots
are files in a directory; a connection is a lock on one of them.

There is no deadlock: all slots of a scope are requested at once; the process that waits for them
holds the scope's *queue*, and the others wait for the queue; and all processes take scopes in one
order, hosts before the vCenter. A process that holds slots of all scopes waits for nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Callable
from urllib.parse import quote

from bareos_vmsnap.mover.child.errors import PlanError
from bareos_vmsnap.processes import file_lock
from bareos_vmsnap.transport.disks import ConnectionLimit

POLL = 0.2  # seconds between looks at slots that are all taken


def folder(scope: ConnectionLimit) -> Path:
    """Return the directory of a scope's files. The scope's name may have any characters."""
    return Path(scope.directory) / quote(scope.name, safe="")


class Slots:
    """The slots that this process holds; the end of the process frees them, whatever its cause."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def take(
        self,
        counts: Mapping[ConnectionLimit, int],
        waiting: Callable[[ConnectionLimit], None] = lambda scope: None,
    ) -> None:
        """Take this many slots of each scope, waiting for as long as it takes.

        `waiting` is called once for each scope that has to be waited for. Raises PlanError for
        more slots than a scope has, OSError if the files cannot be used.
        """
        for scope, count in sorted(counts.items()):
            if count > scope.limit:
                raise PlanError(
                    f"{count} connections at once are needed, {scope.name} may have {scope.limit}",
                    id="connection-limit",
                )
        for scope, count in sorted(counts.items()):
            self._take(scope, count, waiting)

    def take_more(self, counts: Mapping[ConnectionLimit, int]) -> bool:
        """Take this many slots of each scope if all are free now, else none."""
        new: list[int] = []
        for scope, count in sorted(counts.items()):
            queue = file_lock.lock(folder(scope) / "queue")
            found = _free(scope, count) if queue is not None else []
            if queue is not None:
                os.close(queue)
            new += found
            if len(found) < count:
                _release(new)
                return False
        self._held += new
        return True

    def release(self) -> None:
        """Free all slots."""
        _release(self._held)

    def _take(
        self, scope: ConnectionLimit, count: int, waiting: Callable[[ConnectionLimit], None]
    ) -> None:
        folder(scope).mkdir(mode=0o700, parents=True, exist_ok=True)
        reported = False
        queue = file_lock.lock(folder(scope) / "queue")
        if queue is None:
            waiting(scope)
            reported = True
            queue = file_lock.lock(folder(scope) / "queue", wait=True)
            assert queue is not None
        try:
            while True:
                found = _free(scope, count)
                self._held += found
                count -= len(found)
                if not count:
                    return
                if not reported:
                    waiting(scope)
                    reported = True
                time.sleep(POLL)
        finally:
            os.close(queue)


def _free(scope: ConnectionLimit, count: int) -> list[int]:
    """Lock up to `count` free slots; return their descriptors."""
    found: list[int] = []
    for number in range(scope.limit):
        if len(found) == count:
            break
        slot = file_lock.lock(folder(scope) / str(number))
        if slot is not None:
            found.append(slot)
    return found


def _release(held: list[int]) -> None:
    while held:
        os.close(held.pop())
