# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The event log and EventManager."""

from __future__ import annotations

import datetime
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import entity as entities
from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.registry import moid_of
from vmsnap_lab.vcenter.services import history
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.world import World

MOST = 1000  # events in one answer of QueryEvents


class EventManager(Managed):
    """Not simulated: event descriptions, alarms, localized messages beyond a short text."""

    TYPE = vim.event.EventManager
    maxCollector = 32

    def __init__(self, vcenter: World, moid: str) -> None:
        super().__init__(vcenter, moid)
        self.log: list[Any] = []
        self.next_key = 1

    @property
    def latestEvent(self) -> Any:
        return self.log[-1] if self.log else None

    @property
    def description(self) -> Any:
        return vim.event.EventDescription(category=[], eventInfo=[])

    def post(
        self,
        event: Any,
        message: str,
        *,
        user: str = "",
        entity: Optional[Entity] = None,
        chain: Optional[int] = None,
    ) -> Any:
        """Fill in an event's common fields and log it."""
        with self.vcenter.lock:
            event.key = self.next_key
            event.chainId = chain if chain is not None else self.new_chain()
            event.createdTime = self.vcenter.now()
            event.userName = user
            event.fullFormattedMessage = message
            if entity is not None:
                self._place(event, entity)
            self.next_key += 1
            self.log.append(event)
        self.vcenter.notify()
        return event

    def new_chain(self) -> int:
        """The chain that the next event begins."""
        return 0 if self.vcenter.habits.chain_zero else self.next_key

    def lose(self) -> None:
        """Lose the history and number events from one again, as a host's agent does at its start.

        The sources tell only that the list is not kept over a restart.
        """
        with self.vcenter.lock:
            self.log.clear()
            self.next_key = 1

    def forget(self) -> None:
        """Purge the history, as a vCenter does after some weeks."""
        with self.vcenter.lock:
            self.log.clear()

    def _place(self, event: Any, entity: Entity) -> None:
        """The event's place: datastore or VM, host, datacenter."""
        if entity.TYPE is vim.Datastore:
            event.ds = vim.event.DatastoreEventArgument(name=entity.name, datastore=entity.ref)
        elif entity.TYPE is vim.VirtualMachine:
            event.vm = vim.event.VmEventArgument(name=entity.name, vm=entity.ref)
            host = getattr(entity, "host", None)
            if host is not None:
                event.host = vim.event.HostEventArgument(name=host.name, host=host.ref)
        datacenter = entities.datacenter_of(entity)
        if datacenter is not None:
            event.datacenter = vim.event.DatacenterEventArgument(
                name=datacenter.name, datacenter=datacenter.ref
            )

    # Queries

    def matching(self, spec: Any) -> list[Any]:
        """Events matching a filter, oldest first."""
        late = datetime.timedelta(seconds=self.vcenter.habits.events_late)
        newest = self.vcenter.now() - late
        found = [
            event
            for event in self.log
            if event.createdTime <= newest and self._matches(event, spec)
        ]
        return found[-spec.maxCount :] if spec.maxCount else found

    def _matches(self, event: Any, spec: Any) -> bool:
        kinds = {ancestor.__name__ for ancestor in type(event).__mro__}
        if spec.type and not any(isinstance(event, kind) for kind in spec.type):
            return False
        if spec.eventTypeId and kinds.isdisjoint(spec.eventTypeId):
            return False
        if spec.eventChainId is not None and event.chainId != spec.eventChainId:
            return False
        if spec.userName is not None and event.userName not in spec.userName.userList:
            return False
        return history.at_time(event.createdTime, spec.time) and self._concerns(event, spec)

    def _concerns(self, event: Any, spec: Any) -> bool:
        if spec.entity is None:
            return True
        argument = event.vm or event.host or event.ds or event.datacenter
        reference = None
        for name in ("vm", "host", "datastore", "datacenter"):
            reference = reference or getattr(argument, name, None)
        entity = entities.find(self.vcenter, reference)
        if entity is None:  # gone since
            return reference is not None and moid_of(reference) == moid_of(spec.entity.entity)
        return history.within(entity, spec.entity)

    @operation("QueryEvents")
    def query_events(self, call: Call, spec: Any, view: Any) -> list[Any]:
        """Newest first: the order is not promised, and clients must not rely on another."""
        return list(reversed(self.matching(spec)[-MOST:]))

    @operation("CreateCollectorForEvents")
    def create_collector(self, call: Call, spec: Any) -> EventHistoryCollector:
        return EventHistoryCollector(self, call, spec)

    @operation("LogUserEvent")
    def log_user_event(self, call: Call, entity: Entity, message: str) -> None:
        self.post(
            vim.event.GeneralUserEvent(message=message), message, user=call.user, entity=entity
        )


class EventHistoryCollector(history.HistoryCollector):
    TYPE = vim.event.EventHistoryCollector
    initialized = True

    def __init__(self, events: EventManager, call: Call, spec: Any) -> None:
        super().__init__(events.vcenter, call, spec)
        self._events = events

    def items(self) -> list[Any]:
        habits, found = self.vcenter.habits, self._events.matching(self.filter)
        if habits.most_events is None:
            return found
        if habits.kept_events == "newest":
            return found[-habits.most_events :]
        return found[: habits.most_events]

    @operation("ReadNextEvents")
    def read_next_events(self, call: Call, count: int) -> list[Any]:
        return self.read_next(count)

    @operation("ReadPreviousEvents")
    def read_previous_events(self, call: Call, count: int) -> list[Any]:
        return self.read_previous(count)
