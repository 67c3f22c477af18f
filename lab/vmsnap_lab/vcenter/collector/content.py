# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The properties of an object as the collector reports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import properties
from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.session import ApiSession

Collector = vmodl.query.PropertyCollector


def content(
    vcenter: ServiceHub, managed: Managed, paths: list[str], session: Optional[ApiSession]
) -> Any:
    """An ObjectContent. Raises InvalidProperty for a path the type does not have."""
    found = Collector.ObjectContent(obj=managed.ref)
    for path, value, fault in read_all(vcenter, managed, paths, session):
        if fault is not None:
            found.missingSet.append(Collector.MissingProperty(path=path, fault=fault))
        elif value is not None:
            found.propSet.append(vmodl.DynamicProperty(name=path, val=value))
    return found


def read_all(
    vcenter: ServiceHub, managed: Managed, paths: list[str], session: Optional[ApiSession]
) -> Iterator[tuple[str, Any, Any]]:
    """Path, value and fault of each path; a value of None is unset."""
    for path in paths:
        try:
            _check_right(vcenter, managed, path, session)
            yield path, properties.read(managed, path), None
        except (vim.fault.NoPermission, vmodl.fault.NotSupported) as fault:
            yield path, None, fault


def _check_right(
    vcenter: ServiceHub, managed: Managed, path: str, session: Optional[ApiSession]
) -> None:
    name = properties.parse_path(path)[0].name
    try:
        info = managed.TYPE._GetPropertyInfo(name)
    except AttributeError:
        raise vmodl.query.InvalidProperty(name=path, msg=f"{managed} has no {path}") from None
    privilege = info.privId or "System.Read"
    if privilege != "System.Anonymous":
        vcenter.sessions.check(session, managed.ref, privilege)
    vcenter.authorization.require(session, privilege, managed)
