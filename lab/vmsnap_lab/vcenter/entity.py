# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The tree of the inventory: names, parents, children."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.managed import Managed
from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.world import World


class Entity(Managed):
    """An object of the inventory, as far as services know it: see `inventory.managed_entity`."""

    TYPE = vim.ManagedEntity

    def __init__(self, vcenter: World, moid: str, name: str, parent: Optional[Entity]) -> None:
        super().__init__(vcenter, moid)
        self.name = entity_names.escape(name)
        self.parent = parent

    @property
    def container(self) -> Optional[Entity]:
        """The next object up, for rights and for histories."""
        return self.parent

    def children(self) -> list[Entity]:
        """The next objects down: for views and for inventory paths."""
        return []

    def descendants(self) -> Iterator[Entity]:
        for child in self.children():
            yield child
            yield from child.descendants()


def find(vcenter: World, reference: Any) -> Optional[Entity]:
    """The inventory object of a reference, None for one that is gone."""
    found = vcenter.objects.get(moid_of(reference)) if reference is not None else None
    return found if isinstance(found, Entity) else None


def check_free(parent: Entity, name: str) -> None:
    """Raises DuplicateName if `parent` has a child of that (escaped) name."""
    for child in parent.children():
        if child.name == name:
            raise vim.fault.DuplicateName(
                name=name, object=child.ref, msg=f"The name '{name}' already exists."
            )


def datacenter_of(entity: Optional[Entity]) -> Any:
    """The datacenter an entity is in, or is; None for what is above all datacenters."""
    while entity is not None and entity.TYPE is not vim.Datacenter:
        entity = entity.container
    return entity
