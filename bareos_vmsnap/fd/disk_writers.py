# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The movers of a restore: while one disk of a node is written, the node's next is opened.

Not across nodes: a snapshot can only be taken while no disk is open.
"""

from __future__ import annotations

import contextlib
from typing import Callable, Optional

from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import Launcher
from bareos_vmsnap.mover.plan import WritePlan
from bareos_vmsnap.tree import plan_restore

Writer = tuple[plan_restore.Write, client.Mover]


class DiskWriters:
    """`make_plan` makes the mover's plan for a write, and may raise errors.VmsnapError."""

    def __init__(
        self, make_plan: Callable[[plan_restore.Write], WritePlan], launcher: Launcher
    ) -> None:
        self._make_plan = make_plan
        self._launcher = launcher
        self._ahead: Optional[Writer] = None

    def start(self, write: plan_restore.Write) -> client.Mover:
        """The mover for this write; it may not be ready yet. Raises what `make_plan` raises."""
        if self._ahead is not None and self._ahead[0] == write:
            mover, self._ahead = self._ahead[1], None
            return mover
        self.close()
        return self._mover(write)

    def prepare(self, write: Optional[plan_restore.Write]) -> None:
        """Start the mover of the write that comes next, if there is one."""
        if write is not None and self._ahead is None:
            # If no process can be started now, start() tries again and raises.
            with contextlib.suppress(client.MoverError):
                self._ahead = (write, self._mover(write))

    def close(self) -> None:
        """Kill a mover that waits for its turn; safe to call again."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead[1].kill()

    def _mover(self, write: plan_restore.Write) -> client.Mover:
        return client.Mover.write(self._make_plan(write), launcher=self._launcher)
