# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Dataclasses to JSON values and back, checked against their annotations."""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any


class MismatchError(ValueError):
    """A JSON value does not fit the dataclass it should become; the message names the place."""


def encode(value: Any) -> Any:
    """Return `value` (dataclasses, tuples, dicts, scalars) as JSON values.

    Fields that are None by default and by value are left out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: encode(v) for f, v in pairs if v is not None or f.default is not None}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def decode(kind: Any, value: Any, where: str = "") -> Any:
    """Return the JSON `value` as `kind`. Raises MismatchError.

    Unknown keys are passed over: a newer minor version may have added them.
    """
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else decode(inner, value, where)
    if origin is tuple:
        _expect(isinstance(value, list), where, "a list", value)
        return tuple(decode(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, dict), where, "an object", value)
        return {key: decode(arguments[1], v, f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), where, "an object", value)
        return _decode_dataclass(typing.cast(type, kind), value, where)
    right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    _expect(right, where, kind.__name__, value)
    return value


def _decode_dataclass(kind: type, value: dict[str, Any], where: str) -> Any:
    found = {}
    for f in dataclasses.fields(kind):
        if f.name in value:
            found[f.name] = decode(_hints(kind)[f.name], value[f.name], f"{where}.{f.name}")
    try:
        return kind(**found)
    except TypeError as missing:
        raise MismatchError(f"{where or kind.__name__}: {missing}") from missing


def _expect(right: bool, where: str, wanted: str, value: Any) -> None:
    if not right:
        raise MismatchError(f"{where}: expected {wanted}, found {type(value).__name__}")
