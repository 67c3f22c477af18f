# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PropertyCollector."""

from __future__ import annotations

import time
from typing import Any, Optional

from pyVmomi import vmodl

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.collector import content, selection
from vmsnap_lab.vcenter.collector.filters import Filter
from vmsnap_lab.vcenter.managed import Managed, operation
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.services.hub import ServiceHub
from vmsnap_lab.vcenter.services.session import ApiSession

Collector = vmodl.query.PropertyCollector
MOST_UPDATES = 100  # objects in one answer
LONGEST_WAIT = 1800.0  # seconds an answer may take if the client sets no limit


class Retrieval:
    """What is left of a RetrievePropertiesEx: objects, with the paths to read of each."""

    def __init__(self, objects: dict[Managed, list[str]], limit: int) -> None:
        self.objects = objects
        self.limit = limit


class PropertyCollector(Managed):
    """The one of the service, with filters per session, or one a client made for itself."""

    TYPE = vmodl.query.PropertyCollector
    vcenter: ServiceHub

    def __init__(self, vcenter: ServiceHub, moid: str, owner: Optional[ApiSession] = None) -> None:
        super().__init__(vcenter, moid)
        self._owner = owner
        self._states: dict[ApiSession, _Watch] = {}
        self._pages: dict[str, Retrieval] = {}

    # Reading

    @operation("RetrieveProperties")
    def retrieve(self, call: Call, specs: list[Any]) -> list[Any]:
        return self._read(call, self._select(specs))

    @operation("RetrievePropertiesEx")
    def retrieve_ex(self, call: Call, specs: list[Any], options: Any) -> Any:
        limit = self.vcenter.habits.max_objects
        if options.maxObjects is not None:
            if options.maxObjects < 1:
                raise faults.invalid_argument("options.maxObjects")
            limit = min(limit, options.maxObjects)
        return self._page(call, Retrieval(self._select(specs), limit))

    @operation("ContinueRetrievePropertiesEx")
    def continue_retrieve_ex(self, call: Call, token: str) -> Any:
        return self._page(call, self._take(token))

    @operation("CancelRetrievePropertiesEx")
    def cancel_retrieve_ex(self, call: Call, token: str) -> None:
        self._take(token)

    def _take(self, token: str) -> Retrieval:
        page = self._pages.pop(token, None)
        if page is None:
            raise faults.invalid_argument("token")
        return page

    def _select(self, specs: list[Any]) -> dict[Managed, list[str]]:
        objects: dict[Managed, list[str]] = {}
        for spec in specs:
            for managed in selection.objects(self.vcenter, spec):
                known = objects.setdefault(managed, [])
                known += [path for path in selection.paths(managed, spec) if path not in known]
        return objects

    def _page(self, call: Call, page: Retrieval) -> Any:
        """Some objects, with a token if there are more; None if there are none."""
        alive = [item for item in page.objects.items() if item[0] in self.vcenter.objects]
        if not alive:
            return None
        now, left = dict(alive[: page.limit]), dict(alive[page.limit :])
        result = Collector.RetrieveResult(objects=self._read(call, now))
        if left:
            result.token = self.vcenter.objects.new_moid("token-")
            self._pages[result.token] = Retrieval(left, page.limit)
        return result

    def _read(self, call: Call, objects: dict[Managed, list[str]]) -> list[Any]:
        return [
            content.content(self.vcenter, managed, paths, call.session)
            for managed, paths in objects.items()
        ]

    # Watching

    @property
    def filter(self) -> list[Filter]:
        session = self.vcenter.sessions.serving_session
        return self._watch(session).filters if session is not None else []

    def _watch(self, session: ApiSession) -> _Watch:
        return self._states.setdefault(session, _Watch())

    def _forget(self, session: ApiSession, dropped: Filter) -> None:
        watch = self._watch(session)
        watch.filters = [known for known in watch.filters if known is not dropped]

    @operation("CreateFilter")
    def create_filter(self, call: Call, spec: Any, partial: bool) -> Filter:
        assert call.session is not None
        for managed in selection.objects(self.vcenter, spec):
            content.content(self.vcenter, managed, selection.paths(managed, spec), call.session)
        created = Filter(self.vcenter, call.session, spec, partial, self._forget)
        self._watch(call.session).filters.append(created)
        return created

    @operation("CheckForUpdates")
    def check_for_updates(self, call: Call, version: Optional[str]) -> Any:
        return self._wait(call, version, 0.0, MOST_UPDATES)

    @operation("WaitForUpdates", unlocked=True)
    def wait_for_updates(self, call: Call, version: Optional[str]) -> Any:
        return self._wait(call, version, LONGEST_WAIT, MOST_UPDATES)

    @operation("WaitForUpdatesEx", unlocked=True)
    def wait_for_updates_ex(self, call: Call, version: Optional[str], options: Any) -> Any:
        seconds, limit = LONGEST_WAIT, MOST_UPDATES
        if options is not None:
            seconds = LONGEST_WAIT if options.maxWaitSeconds is None else options.maxWaitSeconds
            limit = options.maxObjectUpdates or MOST_UPDATES
        return self._wait(call, version, float(seconds), limit)

    @operation("CancelWaitForUpdates")
    def cancel_wait(self, call: Call) -> None:
        assert call.session is not None
        self._watch(call.session).cancelled += 1

    def _wait(self, call: Call, version: Optional[str], seconds: float, limit: int) -> Any:
        """The next update set; None after so many seconds without one.

        Raises InvalidCollectorVersion, RequestCanceled, NotAuthenticated when the session ends.
        """
        session = call.session
        assert session is not None
        deadline = time.monotonic() + seconds
        with self.vcenter.lock:
            watch = self._watch(session)
            known = watch.parse_version(version)
            cancelled = watch.cancelled
            while True:
                updates = watch.updates(known, limit)
                left = deadline - time.monotonic()
                if updates is not None or left <= 0:
                    return updates
                self.vcenter.changed.wait(left)
                if watch.cancelled != cancelled or self.vcenter.closing.is_set():
                    raise vmodl.fault.RequestCanceled(msg="The wait was canceled")
                if not self.vcenter.sessions.is_alive(session):
                    self.vcenter.sessions.check(None, self.ref, "System.View")

    # Collectors of clients' own

    @operation("CreatePropertyCollector")
    def create_collector(self, call: Call) -> PropertyCollector:
        assert call.session is not None
        moid = f"session[{call.session.key}]{self.vcenter.objects.new_moid('collector-')}"
        created = PropertyCollector(self.vcenter, moid, call.session)
        call.session.owned.append(created)
        return created

    @operation("DestroyPropertyCollector")
    def destroy_collector(self, call: Call) -> None:
        if self._owner is None:
            raise vmodl.fault.NotSupported(msg="The service's own collector stays")
        for watch in self._states.values():
            for known in list(watch.filters):
                known.drop()
        self.vcenter.objects.remove(self)


class _Watch:
    """What one session watches through a collector.

    Every change has a number; the version a client names is the last one it got.
    """

    def __init__(self) -> None:
        self.filters: list[Filter] = []
        self.cancelled = 0
        self._last = 0

    def parse_version(self, version: Optional[str]) -> int:
        """Raises InvalidCollectorVersion for a version this collector never sent."""
        number = int(version) if version and version.isdigit() else 0
        if version and not 0 < number <= self._last:
            raise vmodl.query.InvalidCollectorVersion(msg=f"Unknown version {version}")
        return number

    def updates(self, version: int, limit: int) -> Optional[Any]:
        """An UpdateSet with the oldest changes after a version, or None."""
        for known in self.filters:
            known.refresh(self._next)
        changes = [
            (number, position, update)
            for position, known in enumerate(self.filters)
            for number, update in known.since(version)
        ]
        if not changes:
            return None
        changes.sort(key=lambda change: change[0])
        sent = changes[:limit]
        sets = {
            position: Collector.FilterUpdate(filter=self.filters[position].ref)
            for _, position, _ in sent
        }
        for _, position, update in sent:
            sets[position].objectSet.append(update)
        return Collector.UpdateSet(
            version=str(sent[-1][0]),
            filterSet=list(sets.values()),
            truncated=len(sent) < len(changes),
        )

    def _next(self) -> int:
        self._last += 1
        return self._last
