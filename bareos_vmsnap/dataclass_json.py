# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Dataclasses to JSON values and back, checked by their annotations (standard library only)."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import typing
from typing import Any


class MismatchError(ValueError):
    """A JSON value does not fit the dataclass it should become; the message names the place.

    It shows no values, as they may be secrets.
    """


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


def decode(kind: Any, value: Any, where: str = "", *, strict: bool = False) -> Any:
    """Return the JSON `value` as `kind`. Raises MismatchError.

    Unknown keys are ignored unless `strict`, since a newer minor version may have added them.
    A Union of dataclasses is decoded as the member whose tags match the value: fields whose
    annotation is a Literal of one value.
    """
    recurse = functools.partial(decode, strict=strict)
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        if value is None and type(None) in arguments:
            return None
        return recurse(_member(arguments, value, where), value, where)
    if _is_literal(kind):
        _expect(value in arguments, where, " or ".join(map(repr, arguments)), value)
        return value
    if origin is tuple:
        _expect(isinstance(value, list), where, "a list", value)
        return tuple(recurse(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (dict, collections.abc.Mapping):
        _expect(isinstance(value, dict), where, "an object", value)
        return {key: recurse(arguments[1], v, f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), where, "an object", value)
        return _decode_dataclass(typing.cast(type, kind), value, where, strict)
    matches = isinstance(value, (int, float) if kind is float else kind)
    _expect(matches and (kind is bool or not isinstance(value, bool)), where, kind.__name__, value)
    return value


def _decode_dataclass(kind: type, value: dict[str, Any], where: str, strict: bool) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if strict and not value.keys() <= fields.keys():
        unknown = ", ".join(sorted(value.keys() - fields.keys()))
        raise MismatchError(f"{where or kind.__name__}: unknown keys {unknown}")
    found = {
        name: decode(_hints(kind)[name], value[name], f"{where}.{name}", strict=strict)
        for name in fields
        if name in value
    }
    try:
        return kind(**found)
    except TypeError as missing:
        raise MismatchError(f"{where or kind.__name__}: {missing}") from missing


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal


def _member(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The member of a Union that a value belongs to."""
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return kinds[0]
    _expect(isinstance(value, dict), where, "an object", value)
    for kind in kinds:
        literals = {n: typing.get_args(h) for n, h in _hints(kind).items() if _is_literal(h)}
        if all(value.get(name) in tag for name, tag in literals.items() if len(tag) == 1):
            return kind
    raise MismatchError(f"{where or 'value'}: none of {', '.join(kind.__name__ for kind in kinds)}")


def _expect(matches: bool, where: str, expected: str, value: Any) -> None:
    if not matches:
        raise MismatchError(
            f"{where or 'value'}: expected {expected}, found {type(value).__name__}"
        )
