# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""One property of several managed objects in one call, where an attribute takes a call each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyVmomi import vmodl

_Collector = vmodl.query.PropertyCollector


def retrieve(collector: Any, kind: Any, morefs: Iterable[str], path: str) -> dict[str, Any]:
    """The values of `path` ("config.hardware.device") of objects of one type, by their ids.

    `collector` is the service's PropertyCollector. Objects that do not exist any more are left out,
    and so are those where it is unset. Raises vmodl.MethodFault for one that cannot be read, also
    where the session has expired.
    """
    wanted = list(dict.fromkeys(morefs))
    while wanted:
        try:
            return _retrieve(collector, kind, wanted, path)
        except vmodl.fault.ManagedObjectNotFound as fault:
            gone = fault.obj._moId if fault.obj is not None else None
            if gone not in wanted:
                raise
            wanted.remove(gone)
    return {}


def _retrieve(collector: Any, kind: Any, morefs: list[str], path: str) -> dict[str, Any]:
    stub = collector._stub
    spec = _Collector.FilterSpec(
        objectSet=[_Collector.ObjectSpec(obj=kind(moref, stub)) for moref in morefs],
        propSet=[_Collector.PropertySpec(type=kind, pathSet=[path])],
    )
    page = collector.RetrievePropertiesEx([spec], _Collector.RetrieveOptions())
    found: dict[str, Any] = {}
    while page is not None:
        for each in page.objects:
            # A server answers for what it could read and puts the faults beside it.
            for missing in each.missingSet or []:
                raise missing.fault
            found.update((each.obj._moId, prop.val) for prop in each.propSet or [])
        page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    return found
