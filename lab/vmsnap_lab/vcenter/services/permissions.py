# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Roles, and who has them on what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.services import privileges

FIRST_ROLE = 101  # of those that clients make


class Role:
    def __init__(self, number: int, name: str, granted: Iterable[str]) -> None:
        self.number = number
        self.name = name
        self.privileges = set(granted)

    def grants(self, privilege: str) -> bool:
        """An administrator has all privileges, those not listed included."""
        return self.number == privileges.ADMIN_ROLE or privilege in self.privileges


class Permission(NamedTuple):
    user: str  # in lower case
    role: int
    propagate: bool


class Permissions:
    """Permissions are set on entities; the nearest one up the inventory counts."""

    def __init__(self) -> None:
        self.roles = {
            number: Role(number, name, granted)
            for number, name, granted in (
                (privileges.ADMIN_ROLE, "Admin", privileges.KNOWN),
                (privileges.READ_ONLY_ROLE, "ReadOnly", privileges.SYSTEM),
                (privileges.NO_ACCESS_ROLE, "NoAccess", frozenset()),
            )
        }
        self._by_entity: dict[str, list[Permission]] = {}

    def role_on(self, user: str, entity: Entity) -> Optional[Role]:
        """The role a user has on an entity, its own or one inherited; None: none."""
        place: Optional[Entity] = entity
        while place is not None:
            for permission in self.on(place):
                if permission.user == user.lower() and (permission.propagate or place is entity):
                    return self.roles[permission.role]
            place = place.container
        return None

    def on(self, entity: Entity) -> list[Permission]:
        return self._by_entity.get(entity.moid, [])

    def set(self, entity: Entity, user: str, role: int, propagate: bool = True) -> None:
        """Raises NotFound for an unknown role."""
        self.role(role)
        kept = [known for known in self.on(entity) if known.user != user.lower()]
        self._by_entity[entity.moid] = [*kept, Permission(user.lower(), role, propagate)]

    def remove(self, entity: Entity, user: str) -> None:
        """Raises NotFound if the user has none on the entity."""
        kept = [known for known in self.on(entity) if known.user != user.lower()]
        if len(kept) == len(self.on(entity)):
            raise vim.fault.NotFound(msg=f"{user} has no permission on {entity.name}")
        self._by_entity[entity.moid] = kept

    def role(self, number: int) -> Role:
        """Raises NotFound."""
        role = self.roles.get(number)
        if role is None:
            raise vim.fault.NotFound(msg=f"There is no role {number}")
        return role

    def add_role(self, name: str, granted: Iterable[str]) -> int:
        """Raises InvalidName, AlreadyExists."""
        self._check_name(name)
        number = max(FIRST_ROLE - 1, *self.roles) + 1
        self.roles[number] = Role(number, name, privileges.SYSTEM.union(granted))
        return number

    def change_role(self, number: int, name: str, granted: Iterable[str]) -> None:
        """Raises NotFound, InvalidArgument (a role of the system), and what add_role does."""
        role = self.role(number)
        if number < 0:
            raise faults.invalid_argument("roleId", "A role of the system cannot be changed")
        if name != role.name:
            self._check_name(name)
        role.name = name
        role.privileges = set(privileges.SYSTEM.union(granted))

    def remove_role(self, number: int, only_if_unused: bool) -> None:
        """Permissions with the role go with it. Raises NotFound, RemoveFailed."""
        self.role(number)
        used = any(known.role == number for all_ in self._by_entity.values() for known in all_)
        if number < 0 or (used and only_if_unused):
            raise vim.fault.RemoveFailed(msg=f"The role {number} is in use")
        for moid, known in self._by_entity.items():
            self._by_entity[moid] = [kept for kept in known if kept.role != number]
        del self.roles[number]

    def _check_name(self, name: str) -> None:
        if not name:
            raise vim.fault.InvalidName(name=name, msg="A role needs a name")
        if any(role.name == name for role in self.roles.values()):
            raise vim.fault.AlreadyExists(name=name, msg=f"The role {name} exists already")
