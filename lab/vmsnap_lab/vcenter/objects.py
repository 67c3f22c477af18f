# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The registry of managed objects, and their ids."""

from __future__ import annotations

import itertools
from typing import Any, Optional, TypeVar

from pyVmomi import vmodl

from vmsnap_lab.vcenter.managed import Managed

Kind = TypeVar("Kind", bound=Managed)


class Objects:
    """All managed objects by id. Ids are never used twice, as in a real vCenter."""

    def __init__(self) -> None:
        self._by_moid: dict[str, Managed] = {}
        self._by_kind: dict[type[Managed], dict[str, Managed]] = {}
        self._numbers = itertools.count(1)

    def new_moid(self, prefix: str) -> str:
        """An id as vCenter forms them: `vm-1012`, `group-v3`."""
        return f"{prefix}{next(self._numbers)}"

    def add(self, managed: Managed) -> None:
        self._by_moid[managed.moid] = managed
        self._by_kind.setdefault(type(managed), {})[managed.moid] = managed

    def remove(self, managed: Managed) -> None:
        self._by_moid.pop(managed.moid, None)
        self._by_kind.get(type(managed), {}).pop(managed.moid, None)

    def find(self, reference: Any) -> Any:
        """The object behind a pyVmomi reference.

        Raises ManagedObjectNotFound where there is none of that id and type.
        """
        managed = self._by_moid.get(reference._moId)
        if managed is None or not issubclass(managed.TYPE, type(reference)):
            raise vmodl.fault.ManagedObjectNotFound(
                obj=reference,
                msg=f"The object '{type(reference).__name__}:{reference._moId}' has already been "
                "deleted or has not been completely created",
            )
        return managed

    def get(self, moid: str) -> Optional[Managed]:
        return self._by_moid.get(moid)

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Objects of exactly that class, oldest first."""
        return list(self._by_kind.get(kind, {}).values())  # type: ignore[arg-type]

    def __contains__(self, managed: Managed) -> bool:
        return self._by_moid.get(managed.moid) is managed
