# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What all objects of the inventory have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.managed import Managed, operation

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.services.call import Call
    from vmsnap_lab.vcenter.vcenter import VCenter


class ManagedEntity(Managed):
    """Not simulated: custom values, tags, alarms, configuration issues. Methods are disabled
    on VMs only, and only by VDDK's PrepareForAccess."""

    TYPE = vim.ManagedEntity
    rename_privilege = ""  # none: its name stays

    overallStatus = "green"
    configStatus = "green"
    alarmActionsEnabled = True

    def __init__(
        self, vcenter: VCenter, moid: str, name: str, parent: Optional[ManagedEntity]
    ) -> None:
        super().__init__(vcenter, moid)
        self.name = entity_names.escape(name)
        self.parent = parent

    @property
    def container(self) -> Optional[ManagedEntity]:
        """The next object up, for rights and for histories."""
        return self.parent

    def children(self) -> list[ManagedEntity]:
        """The next objects down: for views and for inventory paths."""
        return []

    def descendants(self) -> Iterator[ManagedEntity]:
        for child in self.children():
            yield child
            yield from child.descendants()

    @property
    def recentTask(self) -> list[Any]:
        return [task for task in self.vcenter.tasks.recentTask if task.info.entity == self.ref]

    @property
    def permission(self) -> list[Any]:
        return self.vcenter.authorization.permissions_on(self)

    @property
    def effectiveRole(self) -> list[int]:
        session = self.vcenter.sessions.serving_session
        role = (
            self.vcenter.authorization.permissions.role_on(session.user, self) if session else None
        )
        return [role.number] if role is not None else []

    @operation("Reload")
    def reload(self, call: Call) -> None:
        """Nothing is ever out of date here."""

    @operation("Rename_Task")
    def rename_task(self, call: Call, name: str) -> Any:
        if not self.rename_privilege:
            raise vmodl.fault.NotSupported(
                msg=f"The simulation does not rename {self.TYPE.__name__}"
            )
        call.require(self.rename_privilege, self)
        return call.start(self, lambda task: self.rename(name))

    def rename(self, name: str) -> None:
        """Raises InvalidName, DuplicateName."""
        with self.vcenter.lock:
            self.name = self.check_new_name(name)

    def check_new_name(self, name: str) -> str:
        """The escaped form of a name this entity could take."""
        escaped = entity_names.checked(name, self.ref)
        if escaped != self.name and self.container is not None:
            check_free(self.container, escaped)
        return escaped


def check_free(parent: ManagedEntity, name: str) -> None:
    """Raises DuplicateName where `parent` has a child of that (escaped) name."""
    for child in parent.children():
        if child.name == name:
            raise vim.fault.DuplicateName(
                name=name, object=child.ref, msg=f"The name '{name}' already exists."
            )


def datacenter_of(entity: Optional[ManagedEntity]) -> Any:
    """The datacenter an entity is in, or is; None for what is above all datacenters."""
    while entity is not None and entity.TYPE is not vim.Datacenter:
        entity = entity.container
    return entity
