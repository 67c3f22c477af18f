# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Attributes of bareosfd's packets: as strict about types as members of a C struct are."""

from __future__ import annotations

import operator
import warnings
from typing import Any, Optional

_C_LONG = range(-(2**63), 2**63)
_C_UNSIGNED_LONG = range(-(2**63), 2**64)


class Member:
    """A data descriptor; its value lives in the packet's _values."""

    default: Any = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, packet: Any, owner: Optional[type] = None) -> Any:
        return self if packet is None else packet._values[self.name]

    def __set__(self, packet: Any, value: Any) -> None:
        packet._values[self.name] = self.convert(value)

    def __delete__(self, packet: Any) -> None:
        raise TypeError("can't delete numeric/char attribute")

    def convert(self, value: Any) -> Any:
        return value

    def parse(self, value: Any) -> Any:
        """`value` as a constructor's argument: some members take more there than assigned."""
        return self.convert(value)


class Object(Member):
    """Any Python object; a deleted one reads as None."""

    def __delete__(self, packet: Any) -> None:
        packet._values[self.name] = None


class String(Member):
    """Text that only the core sets."""

    def __set__(self, packet: Any, value: Any) -> None:
        raise TypeError("readonly attribute")

    def __delete__(self, packet: Any) -> None:
        raise TypeError("readonly attribute")

    def parse(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"argument must be str, not {type(value).__name__}")
        return value


class Boolean(Member):
    default = False

    def convert(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError("attribute value type must be bool")
        return value

    def parse(self, value: Any) -> bool:
        return bool(value)


class Integer(Member):
    """A C integer of `bits` bits: refuses floats, wraps around (with a warning) below 64 bits."""

    def __init__(self, bits: int = 32, signed: bool = True, default: int = 0) -> None:
        self.default = default
        self.bits = bits
        low = -(2 ** (bits - 1)) if signed else 0
        self.values = range(low, low + 2**bits)
        self._taken = _C_UNSIGNED_LONG if bits == 32 and not signed else _C_LONG

    def convert(self, value: Any) -> int:
        number = operator.index(value)
        if number in self.values:
            return number
        if self.bits == 64 or number not in self._taken:
            raise OverflowError("Python int too large to convert to C long")
        warnings.warn(f"Truncation of value to {self.bits} bits", RuntimeWarning, stacklevel=3)
        return (number - self.values.start) % 2**self.bits + self.values.start

    def parse(self, value: Any) -> int:
        number = operator.index(value)
        if self.values.start < 0 and number not in self.values:
            raise OverflowError("signed integer is out of range")
        return (number - self.values.start) % 2**self.bits + self.values.start
