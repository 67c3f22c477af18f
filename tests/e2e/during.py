# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Doing something while a job runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from vmsnap_lab.filedaemon import Cancel


class During(Cancel):
    """Does something in the middle of a job, which goes on only so far meanwhile.

    `label`, `count`: when the plugin is in its `count`-th call of that name. `stored`: when that
    many bytes of file data have come; the storage takes no more until `act` has returned.
    `signal`: what request() does; see Cancel.
    """

    def __init__(
        self,
        act: Callable[[], object],
        label: Optional[str] = None,
        count: int = 1,
        stored: Optional[int] = None,
        signal: Optional[int] = None,
    ) -> None:
        super().__init__(label, count, stored=stored, signal=signal)
        self._do: Optional[Callable[[], object]] = act

    def reached(self) -> None:
        act, self._do = self._do, None
        if act is not None:
            act()
