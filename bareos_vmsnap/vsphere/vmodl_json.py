# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vSphere data objects as JSON values and back, without loss.

pyVmomi can write JSON but not read it. A data object becomes {"_type": its vmodl name, ...}; a
reference {"_ref": "VirtualMachine:vm-12"}; None properties and empty arrays are left out.
"""

from __future__ import annotations

import base64
import datetime
from typing import Any

from pyVmomi import VmomiSupport

from bareos_vmsnap.errors import VmsnapError


class DecodeError(VmsnapError):
    """A JSON value is not one of ours, or has a type that this pyVmomi does not know."""

    id = "vm-config-unknown"


def encode(value: Any) -> Any:
    """Return a pyVmomi value as JSON values."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, VmomiSupport.ManagedObject):
        return {"_ref": f"{VmomiSupport.GetWsdlName(type(value))}:{value._moId}"}
    if isinstance(value, VmomiSupport.DataObject):
        fields: dict[str, Any] = {"_type": type(value).__name__}
        for prop in value._GetPropertyList():
            item = getattr(value, prop.name)
            empty = item is None or (isinstance(item, list) and not item)
            if not empty:
                fields[prop.name] = encode(item)
        return fields
    if isinstance(value, datetime.datetime):
        return {"_time": value.isoformat()}
    if isinstance(value, (bytes, bytearray)):
        return {"_bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, type):
        return {"_class": value.__name__}
    return str(value)


def decode(value: Any) -> Any:
    """Return the value that encode() took; references have no connection. Raises DecodeError."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "_ref" in value:
        name, _, moid = value["_ref"].partition(":")
        return VmomiSupport.GetWsdlType(_NAMESPACE, name)(moid)
    if "_time" in value:
        return datetime.datetime.fromisoformat(value["_time"])
    if "_bytes" in value:
        return VmomiSupport.binary(base64.b64decode(value["_bytes"]))
    if "_class" in value:
        return _type(value["_class"])
    return _decode_object(value)


_NAMESPACE = "urn:vim25"


def _type(name: str) -> Any:
    try:
        return VmomiSupport.GetVmodlType(name)
    except (KeyError, AttributeError) as error:
        raise DecodeError(f"pyVmomi does not know the type {name!r}") from error


def _decode_object(value: dict[str, Any]) -> Any:
    if "_type" not in value:
        raise DecodeError("an object has no _type")
    made = _type(value["_type"])()
    for name, item in value.items():
        if name == "_type":
            continue
        try:
            prop = made._GetPropertyInfo(name)
            setattr(made, name, _typed(prop.type, decode(item)))
        except (AttributeError, DecodeError, LookupError, TypeError, ValueError) as error:
            raise DecodeError(f"{value['_type']}.{name}: {error}") from error
    return made


def _typed(kind: Any, value: Any) -> Any:
    """Give lists and scalars the class that pyVmomi's type check requires."""
    if isinstance(value, list):
        return kind([_typed(kind.Item, item) for item in value])
    plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return kind(value) if plain and not isinstance(value, kind) else value
