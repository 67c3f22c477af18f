# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reading properties of managed objects by path, typed as on the wire."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pyVmomi import VmomiSupport, vmodl

from vmsnap_lab.vcenter.managed import Managed

# One step of a property path: `device`, or with the key of an array's element
# `device[2000]`, `extraConfig["nvram"]`.
_STEP = re.compile(r'([A-Za-z_]\w*)(?:\[(?:"([^"]*)"|([^\]]*))\])?(?:\.|$)')
# Numbers and texts that have a type of their own on the wire.
_OWN_TYPES = (
    VmomiSupport.byte,
    VmomiSupport.short,
    VmomiSupport.long,
    VmomiSupport.double,
    VmomiSupport.URI,
)


class Step(NamedTuple):
    name: str
    key: str  # of an array's element; "" for the whole property


def parse_path(path: str) -> list[Step]:
    """Raises InvalidProperty for what is no property path."""
    steps, position = [], 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise vmodl.query.InvalidProperty(name=path)
        steps.append(Step(match.group(1), match.group(2) or match.group(3) or ""))
        position = match.end()
    if not steps or path.endswith("."):
        raise vmodl.query.InvalidProperty(name=path)
    return steps


def read(managed: Managed, path: str) -> Any:
    """The value at `path` (None: unset), ready to be sent as any type.

    Raises InvalidProperty if the type has no such property, NotSupported for a property
    that a real server always sets and the simulation does not have.
    """
    steps = parse_path(path)
    value, declared = _read_own(managed, steps[0], path)
    for step in steps[1:]:
        value, declared = _read_field(value, declared, step, path)
    return typed(value, declared)


def names(managed: Managed) -> list[str]:
    """All properties of the object's type that the simulation knows."""
    return [
        info.name for info in managed.TYPE._GetPropertyList() if hasattr(managed, str(info.name))
    ]


def typed(value: Any, declared: Any) -> Any:
    """`value` as an instance of the declared type, if that does not follow from its Python type."""
    if isinstance(value, Managed):
        return value.ref
    if isinstance(value, (list, tuple)) and not isinstance(value, VmomiSupport.Array):
        array = declared if issubclass(declared, list) else VmomiSupport.ManagedObject.Array
        return array([typed(item, array.Item) for item in value])
    if isinstance(value, str) and issubclass(declared, VmomiSupport.Enum):
        return declared(value)
    if value is not None and declared in _OWN_TYPES:
        return declared(value)
    return value


def _read_own(managed: Managed, step: Step, path: str) -> tuple[Any, Any]:
    try:
        info = managed.TYPE._GetPropertyInfo(step.name)
    except AttributeError:
        raise vmodl.query.InvalidProperty(name=path, msg=f"{managed} has no {path}") from None
    value = getattr(managed, step.name, None)
    if value is None and not info.flags & VmomiSupport.F_OPTIONAL:
        raise vmodl.fault.NotSupported(
            msg=f"The simulation does not have the property {step.name} of {managed.TYPE.__name__}"
        )
    return _element(value, info.type, step, path)


def _read_field(value: Any, declared: Any, step: Step, path: str) -> tuple[Any, Any]:
    kind = type(value) if value is not None else declared
    if not issubclass(kind, VmomiSupport.DataObject):
        raise vmodl.query.InvalidProperty(name=path)
    try:
        info = kind._GetPropertyInfo(step.name)
    except AttributeError:
        raise vmodl.query.InvalidProperty(name=path) from None
    field = None if value is None else getattr(value, step.name)
    return _element(field, info.type, step, path)


def _element(value: Any, declared: Any, step: Step, path: str) -> tuple[Any, Any]:
    if not step.key:
        return value, declared
    if not issubclass(declared, list):
        raise vmodl.query.InvalidProperty(name=path)
    for item in value or []:
        if str(getattr(item, "key", None)) == step.key:
            return item, declared.Item
    return None, declared.Item
