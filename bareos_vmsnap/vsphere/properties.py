# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reads properties of several managed objects in one call; attributes take a call for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyVmomi import vmodl

_Collector = vmodl.query.PropertyCollector


def retrieve(collector: Any, kind: Any, morefs: Iterable[str], path: str) -> dict[str, Any]:
    """The values of `path` ("config.hardware.device") of objects of one type, by their ids.

    `collector` is the service's PropertyCollector. Objects that no longer exist are left out, as
    are those whose property is unset. Raises vmodl.MethodFault if one cannot be read, also if the
    session has expired.
    """
    found = retrieve_all(collector, kind, morefs, [path])
    return {moref: values[path] for moref, values in found.items() if path in values}


def retrieve_all(
    collector: Any, kind: Any, morefs: Iterable[str], paths: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The values of several paths at one moment, by objects' ids and paths; see retrieve().

    An object none of whose properties is set is left out too.
    """
    ids, wanted = list(dict.fromkeys(morefs)), list(paths)
    while ids:
        try:
            return _retrieve(collector, kind, ids, wanted)
        except vmodl.fault.ManagedObjectNotFound as fault:
            gone = fault.obj._moId if fault.obj is not None else None
            if gone not in ids:
                raise
            ids.remove(gone)
    return {}


def _retrieve(
    collector: Any, kind: Any, morefs: list[str], paths: list[str]
) -> dict[str, dict[str, Any]]:
    stub = collector._stub
    spec = _Collector.FilterSpec(
        objectSet=[_Collector.ObjectSpec(obj=kind(moref, stub)) for moref in morefs],
        propSet=[_Collector.PropertySpec(type=kind, pathSet=paths)],
    )
    page = collector.RetrievePropertiesEx([spec], _Collector.RetrieveOptions())
    found: dict[str, dict[str, Any]] = {}
    while page is not None:
        for each in page.objects:
            # A server returns what it could read, and the faults beside it.
            for missing in each.missingSet or []:
                raise missing.fault
            for prop in each.propSet or []:
                found.setdefault(each.obj._moId, {})[prop.name] = prop.val
        page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    return found
