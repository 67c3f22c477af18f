# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Somebody who does something once, before a certain call of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vmodl

from vmsnap_lab.lab import Lab
from vmsnap_lab.storage import StorageError


@dataclass(frozen=True)
class When:
    """Before which of a job's calls: the `after`-th (0 is the first) from the first of `method`.

    Without a method that part of them, 0 to 1, as many as the last job of its kind had.
    """

    method: Optional[str]
    after: float


class Somebody:
    """Acts before calls of sessions that are not in `mine`.

    `act` returns whether it did something. What vSphere refuses, because a task runs or a disk is
    open, is tried again before every later call.

    done: the method of the call it was done before; None if it was not. tried: whether it was begun,
    and maybe refused in the middle. calls: all, in order, but
    those that came while somebody acted, which are counted in `meanwhile`.
    """

    def __init__(self, act: Callable[[], bool], when: When, mine: Collection[str]) -> None:
        self._act = act
        self._when = when
        self._mine = mine
        self._acting = threading.Lock()
        self._first: Optional[int] = None
        self._error: Optional[BaseException] = None
        self.done: Optional[str] = None
        self.tried = False
        self.calls: list[str] = []
        self.meanwhile = 0

    @contextmanager
    def around(self, lab: Lab, usual: int) -> Iterator[None]:
        """`usual`: as many calls as such a job has. Raises what went wrong with the deed itself."""
        whole = self._when.method is None
        self._skip = int(self._when.after * usual) if whole else int(self._when.after)
        lab.habits.before_call = self._before
        try:
            yield
        finally:
            lab.habits.before_call = None
        if self._error is not None:
            raise self._error

    def _before(self, method: str, session: Any) -> None:
        if session is None or session.key in self._mine:
            return
        if self._acting.acquire(blocking=False):
            try:
                self._look(method)
            finally:
                self._acting.release()
        else:
            self.meanwhile += 1

    def _look(self, method: str) -> None:
        number = len(self.calls)
        self.calls.append(method)
        if self._first is None and self._when.method in (None, method):
            self._first = number
        if self._error is not None or self.done is not None or self._first is None:
            return
        if number - self._first < self._skip:
            return
        try:
            if self._act():
                self.done = method
        except (vmodl.MethodFault, StorageError):
            self.tried = True  # again before the next call
        except Exception as error:  # noqa: BLE001 - raised again by around()
            self._error = error
