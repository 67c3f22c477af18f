# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Filters: what a collector watches, and at which version each property was last changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Callable

from pyVmomi import SoapAdapter, VmomiSupport, vmodl

from vmsnap_lab.vcenter.collector import content, selection
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.session import ApiSession

Collector = vmodl.query.PropertyCollector
Kind = Collector.ObjectUpdate.Kind


@dataclass
class SeenProperty:
    """A property as it was at the last check. text: equal for equal values."""

    value: Any
    fault: Any
    text: str
    version: int


@dataclass
class Watched:
    """An object a filter selects. entered, changed: versions."""

    entered: int
    changed: int
    properties: dict[str, SeenProperty] = field(default_factory=dict)


class Filter(Managed):
    """Whole properties are reported, even if the client wants partial updates."""

    TYPE = vmodl.query.PropertyCollector.Filter

    vcenter: ServiceHub

    def __init__(
        self,
        vcenter: ServiceHub,
        session: ApiSession,
        spec: Any,
        partial: bool,
        forget: Callable[[ApiSession, Filter], None],
    ) -> None:
        """`forget` is called when the filter is dropped."""
        moid = f"session[{session.key}]{vcenter.objects.new_moid('filter-')}"
        super().__init__(vcenter, moid)
        self.spec = spec
        self.partialUpdates = partial
        self._forget = forget
        self._session = session
        self._watched: dict[Managed, Watched] = {}
        self._left: list[tuple[int, Any]] = []  # version, reference
        session.owned.append(self)

    @operation("DestroyPropertyFilter")
    def destroy_filter(self, call: Call) -> None:
        self.drop()

    def drop(self) -> None:
        self.vcenter.objects.remove(self)
        self._forget(self._session, self)
        if self in self._session.owned:
            self._session.owned.remove(self)

    def refresh(self, next_version: Callable[[], int]) -> None:
        """Check everything watched; each object that changed gets a version of its own."""
        selected = self._selected()
        for managed in selected:
            self._look(managed, next_version)
        for managed in [known for known in self._watched if known not in selected]:
            del self._watched[managed]
            self._left.append((next_version(), managed.ref))

    def _selected(self) -> list[Managed]:
        try:
            return selection.objects(self.vcenter, self.spec)
        except vmodl.fault.ManagedObjectNotFound:
            return []  # what was watched is gone: reported as left

    def _look(self, managed: Managed, next_version: Callable[[], int]) -> None:
        watched = self._watched.get(managed)
        version = 0
        if watched is None:
            version = next_version()
            watched = self._watched[managed] = Watched(version, version)
        for path, value, fault in content.read_all(
            self.vcenter, managed, selection.paths(managed, self.spec), self._session
        ):
            text = _text(value if fault is None else fault)
            known = watched.properties.get(path)
            if known is None or known.text != text:
                version = version or next_version()
                watched.changed = version
                watched.properties[path] = SeenProperty(value, fault, text, version)

    def since(self, version: int) -> Iterator[tuple[int, Any]]:
        """Version and ObjectUpdate of every object that changed after a version."""
        for left, reference in self._left:
            if left > version:
                yield left, Collector.ObjectUpdate(kind=Kind.leave, obj=reference)
        for managed, watched in self._watched.items():
            if watched.changed > version:
                yield watched.changed, _update(managed, watched, version)


def _update(managed: Managed, watched: Watched, version: int) -> Any:
    is_new = watched.entered > version
    update = Collector.ObjectUpdate(kind=Kind.enter if is_new else Kind.modify, obj=managed.ref)
    for path, seen in watched.properties.items():
        if seen.version <= version:
            continue
        if seen.fault is not None:
            update.missingSet.append(Collector.MissingProperty(path=path, fault=seen.fault))
        elif seen.value is not None or not is_new:
            update.changeSet.append(Collector.Change(name=path, op="assign", val=seen.value))
    return update


def _text(value: Any) -> str:
    """A text that is the same for the same value: data objects have no equality."""
    if value is None:
        return ""
    return SoapAdapter.SerializeToStr(value, version=VmomiSupport.newestVersions.GetName("vim"))
