# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Managed objects: identity, properties, operations."""

from __future__ import annotations

from typing import Any, Callable, ClassVar, Optional, TypeVar

from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.world import World

Function = TypeVar("Function", bound=Callable[..., Any])


class Managed:
    """A managed object of the simulation.

    `TYPE` is the pyVmomi type it stands for. A vmodl property is the attribute of the same
    name; one without attribute is unset. References may be `Managed` or lists of it.
    Operations are functions marked with `operation` or `operation_of`; a SOAP method without
    one answers NotSupported.
    """

    TYPE: ClassVar[Any] = None
    _operations: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._operations = {
            value.wsdl_name: value
            for value in vars(cls).values()
            if getattr(value, "wsdl_name", None) is not None
        }

    def __init__(self, vcenter: World, moid: str) -> None:
        self.vcenter = vcenter
        self.ref = self.TYPE(moid)
        vcenter.objects.add(self)

    @property
    def moid(self) -> str:
        return moid_of(self.ref)

    @classmethod
    def add_operation(cls, function: Callable[..., Any]) -> None:
        """Make a function marked with `operation` the answer of all objects of this kind."""
        cls._operations[getattr(function, "wsdl_name", "")] = function

    @classmethod
    def find_operation(cls, wsdl_name: str) -> Optional[Callable[..., Any]]:
        """The function that answers a SOAP method; it takes the object, then the call."""
        for ancestor in cls.__mro__:
            found = vars(ancestor).get("_operations", {}).get(wsdl_name)
            if found is not None:
                return found
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.moid}>"


def operation(wsdl_name: str, *, unlocked: bool = False) -> Callable[[Function], Function]:
    """Mark a method of a managed object as the answer to the SOAP method `wsdl_name`.

    It is called as `method(call, *arguments)`, with one argument per parameter of the vmodl
    method, references resolved to `Managed`. An `unlocked` operation runs without the
    simulation's lock, because it waits or takes long.
    """

    def mark(function: Function) -> Function:
        function.wsdl_name = wsdl_name  # type: ignore[attr-defined]
        function.unlocked = unlocked  # type: ignore[attr-defined]
        return function

    return mark


def operation_of(
    kind: type[Managed], wsdl_name: str, *, unlocked: bool = False
) -> Callable[[Function], Function]:
    """Make a function the answer of all objects of a kind to a SOAP method.

    For kinds whose operations live in modules above them; otherwise like `operation`, with
    the object as first argument.
    """

    def add(function: Function) -> Function:
        kind.add_operation(operation(wsdl_name, unlocked=unlocked)(function))
        return function

    return add
