# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The registry of managed objects, and their ids."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Protocol, TypeVar

from pyVmomi import vmodl


class Identified(Protocol):
    """A managed object as the registry knows it."""

    TYPE: ClassVar[Any]

    @property
    def moid(self) -> str: ...


Kind = TypeVar("Kind", bound=Identified)


class Registry:
    """All managed objects by id. Ids are never used twice, as in a real vCenter."""

    def __init__(self) -> None:
        self._by_moid: dict[str, Identified] = {}
        self._by_kind: dict[type[Identified], dict[str, Identified]] = {}
        self._numbers = itertools.count(1)

    def new_moid(self, prefix: str) -> str:
        """An id as vCenter forms them: `vm-1012`, `group-v3`."""
        return f"{prefix}{next(self._numbers)}"

    def add(self, managed: Identified) -> None:
        self._by_moid[managed.moid] = managed
        self._by_kind.setdefault(type(managed), {})[managed.moid] = managed

    def remove(self, managed: Identified) -> None:
        self._by_moid.pop(managed.moid, None)
        self._by_kind.get(type(managed), {}).pop(managed.moid, None)

    def find(self, reference: Any) -> Any:
        """The object behind a pyVmomi reference.

        Raises ManagedObjectNotFound if there is none of that id and type.
        """
        managed = self._by_moid.get(moid_of(reference))
        if managed is None or not issubclass(managed.TYPE, type(reference)):
            raise vmodl.fault.ManagedObjectNotFound(
                obj=reference,
                msg=f"The object '{type(reference).__name__}:{moid_of(reference)}' has already "
                "been deleted or has not been completely created",
            )
        return managed

    def get(self, moid: str) -> Any:
        """The object of an id, or None."""
        return self._by_moid.get(moid)

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Objects of exactly that class, oldest first."""
        return list(self._by_kind.get(kind, {}).values())  # type: ignore[arg-type]

    def of_type(self, vim_type: Any) -> list[Any]:
        """Objects of classes that stand for exactly that pyVmomi type, oldest first."""
        return [
            managed
            for kind, known in self._by_kind.items()
            if kind.TYPE is vim_type
            for managed in known.values()
        ]

    def __contains__(self, managed: Identified) -> bool:
        return self._by_moid.get(managed.moid) is managed


def moid_of(reference: Any) -> str:
    """The id in a pyVmomi reference, which has no public name for it."""
    return reference._moId
