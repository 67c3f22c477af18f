# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What all objects of the inventory have in common."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vmodl

from vmsnap_lab.vcenter import entity_names
from vmsnap_lab.vcenter.entity import Entity, check_free
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub


class ManagedEntity(Entity):
    """Not simulated: custom values, tags, alarms, configuration issues. Methods are disabled
    on VMs only, and only by VDDK's PrepareForAccess."""

    vcenter: ServiceHub
    rename_privilege = ""  # none: its name stays

    overallStatus = "green"
    configStatus = "green"
    alarmActionsEnabled = True

    def __init__(self, vcenter: ServiceHub, moid: str, name: str, parent: Optional[Entity]) -> None:
        super().__init__(vcenter, moid, name, parent)

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
