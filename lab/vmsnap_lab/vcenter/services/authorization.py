# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The check of privileges, and AuthorizationManager."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services import privileges
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.permissions import Permissions
from vmsnap_lab.vcenter.services.session import ApiSession
from vmsnap_lab.vcenter.services.sessions import SessionManager
from vmsnap_lab.vcenter.world import World


class AuthorizationManager(Managed):
    """Not simulated: groups; a permission found through a resource pool instead of the folder;
    `childEntity` without what the caller may not see (views and searches leave it out).
    """

    TYPE = vim.AuthorizationManager

    def __init__(self, vcenter: World, moid: str, sessions: SessionManager, root: Entity) -> None:
        super().__init__(vcenter, moid)
        self._sessions = sessions
        self._root = root
        self.permissions = Permissions()

    # The check

    def require(
        self, session: Optional[ApiSession], privilege: Optional[str], managed: Managed
    ) -> None:
        """Raises NoPermission; a privilege of None needs no check."""
        if privilege is None or privilege == privileges.ANONYMOUS:
            return
        user = session.user if session is not None else ""
        if not self.has(user, privilege, managed):
            entity = self._place(managed) or self._root
            raise vim.fault.NoPermission(
                object=entity.ref,
                privilegeId=privilege,
                missingPrivileges=[
                    vim.fault.NoPermission.EntityPrivileges(
                        entity=entity.ref, privilegeIds=[privilege]
                    )
                ],
                msg=f"Permission to perform this operation was denied: {privilege} on "
                f"{entity.name}",
            )

    def has(self, user: str, privilege: str, managed: Managed) -> bool:
        """What belongs to no entity (services, tasks, views) is visible to everybody."""
        entity = self._place(managed)
        if entity is None and privilege in privileges.SYSTEM:
            return True
        role = self.permissions.role_on(user, entity or self._root)
        return role is not None and role.grants(privilege)

    def _place(self, managed: Managed) -> Optional[Entity]:
        """The entity on which rights to an object are looked up: for a snapshot, its VM."""
        owner = getattr(managed, "vm", None)
        for candidate in (managed, owner):
            if isinstance(candidate, Entity):
                return candidate
        return None

    # What is there

    @property
    def privilegeList(self) -> list[Any]:
        return [
            vim.AuthorizationManager.Privilege(
                privId=known,
                onParent=False,
                name=known.rpartition(".")[2],
                privGroupName=known.rpartition(".")[0],
            )
            for known in sorted(privileges.KNOWN)
        ]

    @property
    def roleList(self) -> list[Any]:
        return [
            vim.AuthorizationManager.Role(
                roleId=role.number,
                system=role.number < 0,
                name=role.name,
                info=vim.Description(label=role.name, summary=role.name),
                privilege=sorted(role.privileges),
            )
            for role in self.permissions.roles.values()
        ]

    def permissions_on(self, entity: Entity) -> list[Any]:
        return [
            vim.AuthorizationManager.Permission(
                entity=entity.ref,
                principal=permission.user,
                group=False,
                roleId=permission.role,
                propagate=permission.propagate,
            )
            for permission in self.permissions.on(entity)
        ]

    @operation("RetrieveEntityPermissions")
    def retrieve_entity_permissions(self, call: Call, entity: Entity, inherited: bool) -> list[Any]:
        found = []
        place: Optional[Entity] = entity
        while place is not None:
            found += self.permissions_on(place)
            place = place.container if inherited else None
        return found

    # Changes

    @operation("AddAuthorizationRole")
    def add_role(self, call: Call, name: str, granted: list[str]) -> int:
        return self.permissions.add_role(name, granted)

    @operation("UpdateAuthorizationRole")
    def update_role(self, call: Call, number: int, name: str, granted: list[str]) -> None:
        self.permissions.change_role(number, name, granted)

    @operation("RemoveAuthorizationRole")
    def remove_role(self, call: Call, number: int, only_if_unused: bool) -> None:
        self.permissions.remove_role(number, only_if_unused)

    @operation("SetEntityPermissions")
    def set_entity_permissions(self, call: Call, entity: Entity, permissions: list[Any]) -> None:
        for permission in permissions:
            if permission.group or not self._sessions.knows(permission.principal):
                raise vim.fault.UserNotFound(
                    principal=permission.principal,
                    unresolved=True,
                    msg=f"The user {permission.principal} was not found",
                )
            self.permissions.set(
                entity, permission.principal, permission.roleId, permission.propagate
            )

    @operation("RemoveEntityPermission")
    def remove_entity_permission(self, call: Call, entity: Entity, user: str, group: bool) -> None:
        self.permissions.remove(entity, user)

    # Questions

    @operation("HasPrivilegeOnEntities")
    def has_privilege_on_entities(
        self, call: Call, entities: list[Entity], session_id: str, privilege_ids: list[str]
    ) -> list[Any]:
        user = self._user_of(session_id)
        return [self._availability(entity, user, privilege_ids) for entity in entities]

    @operation("HasPrivilegeOnEntity")
    def has_privilege_on_entity(
        self, call: Call, entity: Entity, session_id: str, privilege_ids: list[str]
    ) -> list[bool]:
        user = self._user_of(session_id)
        return [self.has(user, privilege, entity) for privilege in privilege_ids]

    @operation("HasUserPrivilegeOnEntities")
    def has_user_privilege_on_entities(
        self, call: Call, entities: list[Managed], user: str, privilege_ids: list[str]
    ) -> list[Any]:
        return [self._availability(entity, user, privilege_ids) for entity in entities]

    @operation("FetchUserPrivilegeOnEntities")
    def fetch_user_privileges(self, call: Call, entities: list[Entity], user: str) -> list[Any]:
        results = []
        for entity in entities:
            role = self.permissions.role_on(user, entity)
            results.append(
                vim.AuthorizationManager.UserPrivilegeResult(
                    entity=entity.ref, privileges=sorted(role.privileges) if role else []
                )
            )
        return results

    def _availability(self, managed: Managed, user: str, privilege_ids: list[str]) -> Any:
        return vim.AuthorizationManager.EntityPrivilege(
            entity=managed.ref,
            privAvailability=[
                vim.AuthorizationManager.PrivilegeAvailability(
                    privId=privilege, isGranted=self.has(user, privilege, managed)
                )
                for privilege in privilege_ids
            ],
        )

    def _user_of(self, session_id: str) -> str:
        for session in self._sessions.sessionList:
            if session.key == session_id:
                return session.userName
        raise faults.invalid_argument("sessionId", f"There is no session {session_id}")
