# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM in the lab, the users who change it, its backups and restores, and the reference beside it.

Users (users.py) change the lab and the reference alike; jobs (jobs.py) are compared with what the
lab held when they took their snapshot (moments.py, store.py); the other modules disturb them.
"""

from __future__ import annotations

from types import TracebackType
from typing import Optional

from tests.proof.damage import Damage


class World(Damage):
    """A context manager."""

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def backup_while_cbt_lies(self, level: str) -> None:
        """CBT misses changes and says nothing; an audit of every block must find out."""
        if self.machine.current is None and level != "Full":
            return  # the previous backup's state is deleted: nothing to audit against
        self.lab.habits.cbt.misses = 0.4
        try:
            self.backup(level, audit=1_000_000)
        finally:
            self.lab.habits.cbt.misses = 0.0
