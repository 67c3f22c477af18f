# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Views: live selections of inventory objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services import privileges
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.session import ApiSession

_CONTAINERS = (
    vim.Folder,
    vim.Datacenter,
    vim.ComputeResource,
    vim.ResourcePool,
    vim.HostSystem,
)


class View(Managed):
    TYPE = vim.view.ManagedObjectView
    vcenter: ServiceHub

    def __init__(self, vcenter: ServiceHub, session: ApiSession) -> None:
        super().__init__(vcenter, f"session[{session.key}]{vcenter.objects.new_moid('')}")
        self._session = session
        session.owned.append(self)

    @operation("DestroyView")
    def destroy(self, call: Call) -> None:
        self.vcenter.objects.remove(self)
        if self in self._session.owned:
            self._session.owned.remove(self)


class ContainerView(View):
    """Objects below a container, as they are whenever the view is read."""

    TYPE = vim.view.ContainerView

    def __init__(
        self,
        vcenter: ServiceHub,
        session: ApiSession,
        container: Entity,
        kinds: list[Any],
        recursive: bool,
    ) -> None:
        super().__init__(vcenter, session)
        self.container = container
        self.type = kinds
        self.recursive = recursive

    @property
    def view(self) -> list[Any]:
        """What the session's user may see of it."""
        kinds: tuple[Any, ...] = tuple(self.type) or (vim.ManagedEntity,)
        may = self.vcenter.authorization.has
        found = dict.fromkeys(
            entity
            for entity in _below(self.container, self.recursive)
            if issubclass(entity.TYPE, kinds)
        )
        return [entity for entity in found if may(self._session.user, privileges.VIEW, entity)]


class ListView(View):
    TYPE = vim.view.ListView

    def __init__(self, vcenter: ServiceHub, session: ApiSession, members: list[Managed]) -> None:
        super().__init__(vcenter, session)
        self._members = list(dict.fromkeys(members))

    @property
    def view(self) -> list[Any]:
        return [member for member in self._members if member in self.vcenter.objects]

    @operation("ModifyListView")
    def modify(self, call: Call, add: list[Managed], remove: list[Managed]) -> list[Any]:
        kept = [member for member in self._members if member not in remove]
        self._members = list(dict.fromkeys([*kept, *add]))
        return []

    @operation("ResetListView")
    def reset(self, call: Call, members: list[Managed]) -> list[Any]:
        self._members = list(dict.fromkeys(members))
        return []


class ViewManager(Managed):
    """Not simulated: inventory views."""

    TYPE = vim.view.ViewManager
    vcenter: ServiceHub

    @operation("CreateContainerView")
    def create_container_view(
        self, call: Call, container: Entity, kinds: list[Any], recursive: bool
    ) -> ContainerView:
        assert call.session is not None
        if not issubclass(container.TYPE, _CONTAINERS):
            raise faults.invalid_argument("container")
        return ContainerView(self.vcenter, call.session, container, kinds, recursive)

    @operation("CreateListView")
    def create_list_view(self, call: Call, members: list[Managed]) -> ListView:
        assert call.session is not None
        return ListView(self.vcenter, call.session, members)


def _below(container: Entity, recursive: bool) -> Iterator[Entity]:
    for entity in _members(container):
        yield entity
        if recursive:
            yield from _below(entity, recursive)


def _members(container: Entity) -> list[Entity]:
    """Children, and the VMs that pools and hosts have without being their parents."""
    holds_vms = issubclass(container.TYPE, (vim.ResourcePool, vim.HostSystem))
    return [*container.children(), *(getattr(container, "vm", []) if holds_vms else [])]
