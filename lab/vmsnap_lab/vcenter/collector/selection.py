# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which objects, and which of their properties, a filter spec selects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyVmomi import vmodl

from vmsnap_lab.vcenter import properties
from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.world import World

Collector = vmodl.query.PropertyCollector


def objects(vcenter: World, spec: Any) -> list[Managed]:
    """The objects a PropertyFilterSpec selects, each once, in the order they are found.

    Raises ManagedObjectNotFound for a missing starting point, InvalidArgument for a selection
    that refers to an unknown name.
    """
    named = _named(spec)
    found: dict[Managed, None] = {}
    for start in spec.objectSet:
        if spec.reportMissingObjectsInResults and vcenter.objects.get(moid_of(start.obj)) is None:
            continue
        managed = vcenter.objects.find(start.obj)
        if not start.skip:
            found[managed] = None
        visited: set[tuple[str, int]] = set()
        for reached in _follow(vcenter, managed, start.selectSet, named, visited):
            found[reached] = None
    return [managed for managed in found if _specs_for(managed, spec)]


def missing(vcenter: World, spec: Any) -> list[Any]:
    """References of the spec's starting points that do not exist."""
    return [
        start.obj for start in spec.objectSet if vcenter.objects.get(moid_of(start.obj)) is None
    ]


def paths(managed: Managed, spec: Any) -> list[str]:
    """The property paths of an object that a filter spec selects."""
    selected: dict[str, None] = {}
    for property_spec in _specs_for(managed, spec):
        known = properties.names(managed) if property_spec.all else property_spec.pathSet
        selected.update(dict.fromkeys(known))
    return list(selected)


def _specs_for(managed: Managed, spec: Any) -> list[Any]:
    return [known for known in spec.propSet if issubclass(managed.TYPE, known.type)]


def _follow(
    vcenter: World,
    managed: Managed,
    selections: Any,
    named: dict[str, Any],
    visited: set[tuple[str, int]],
) -> Iterator[Managed]:
    for selection in selections:
        step = _resolved(selection, named)
        if not issubclass(managed.TYPE, step.type) or (managed.moid, id(step)) in visited:
            continue
        visited.add((managed.moid, id(step)))
        for reference in _references(properties.read(managed, step.path)):
            reached = vcenter.objects.get(moid_of(reference))
            if reached is None:
                continue
            if not step.skip:
                yield reached
            yield from _follow(vcenter, reached, step.selectSet, named, visited)


def _references(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _resolved(selection: Any, named: dict[str, Any]) -> Any:
    """A traversal, or the one that a bare name stands for."""
    if isinstance(selection, Collector.TraversalSpec):
        return selection
    step = named.get(selection.name or "")
    if step is None:
        raise vmodl.fault.InvalidArgument(
            invalidProperty="selectSet.name", msg=f"There is no traversal {selection.name}"
        )
    return step


def _named(spec: Any) -> dict[str, Any]:
    named: dict[str, Any] = {}

    def collect(selections: Any) -> None:
        for selection in selections:
            if isinstance(selection, Collector.TraversalSpec):
                if selection.name:
                    named[selection.name] = selection
                collect(selection.selectSet)

    for start in spec.objectSet:
        collect(start.selectSet)
    return named
