# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Collectors that page through a history, newest or oldest first."""

from __future__ import annotations

import datetime
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.world import World

PAGE = 10
MOST = 1000  # items in one answer


class HistoryCollector(Managed):
    """A position in the list of matching items, oldest first; items that come later follow.

    It belongs to the session of the call that made it.
    """

    def __init__(self, vcenter: World, call: Call, spec: Any) -> None:
        assert call.session is not None
        super().__init__(vcenter, f"session[{call.session.key}]{vcenter.objects.new_moid('')}")
        self.filter = spec
        self._page = PAGE
        self._position: Optional[int] = None  # None: behind the newest
        call.session.owned.append(self)

    def items(self) -> list[Any]:
        """All items matching the filter, oldest first."""
        raise NotImplementedError

    @property
    def latestPage(self) -> list[Any]:
        return list(reversed(self.items()[-self._page :]))

    def read_next(self, count: int) -> list[Any]:
        items = self.items()
        start = self._place(items)
        page = items[start : start + _checked(count)]
        self._position = start + len(page)
        return page

    def read_previous(self, count: int) -> list[Any]:
        items = self.items()
        end = self._place(items)
        page = items[max(0, end - _checked(count)) : end]
        self._position = end - len(page)
        return list(reversed(page))

    def _place(self, items: list[Any]) -> int:
        return len(items) if self._position is None else min(self._position, len(items))

    @operation("SetCollectorPageSize")
    def set_page_size(self, call: Call, count: int) -> None:
        self._page = _checked(count)

    @operation("RewindCollector")
    def rewind(self, call: Call) -> None:
        self._position = 0

    @operation("ResetCollector")
    def reset(self, call: Call) -> None:
        self._position = None

    @operation("DestroyCollector")
    def destroy(self, call: Call) -> None:
        self.vcenter.objects.remove(self)


def _checked(count: int) -> int:
    if not 0 < count <= MOST:
        raise faults.invalid_argument("maxCount")
    return count


def within(entity: Optional[Entity], spec: Any) -> bool:
    """Whether an entity matches the `entity` part of a filter (None: no such part)."""
    if spec is None:
        return True
    if entity is None:
        return False
    target = moid_of(spec.entity)
    itself = entity.moid == target
    recursion = vim.event.EventFilterSpec.RecursionOption
    if spec.recursion == recursion.self:
        return itself
    below, place = False, entity.container
    while place is not None and not below:
        below = place.moid == target
        place = place.container if spec.recursion == recursion.all else None
    return below if spec.recursion == recursion.children else (itself or below)


def at_time(moment: Any, spec: Any) -> bool:
    """Whether a time matches the `time` part of a filter."""
    if spec is None:
        return True
    return not (
        (spec.beginTime is not None and moment < _aware(spec.beginTime))
        or (spec.endTime is not None and moment > _aware(spec.endTime))
    )


def _aware(moment: Any) -> Any:
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
