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
from vmsnap_lab.vcenter.services.session import Session

Collector = vmodl.query.PropertyCollector
MOST_UPDATES = 100  # objects in one answer
LONGEST_WAIT = 1800.0  # seconds an answer may take where the client sets no limit


class Retrieval:
    """What is left of a RetrievePropertiesEx: objects and the paths wanted of each."""

    def __init__(self, wanted: dict[Managed, list[str]], most: int) -> None:
        self.wanted = wanted
        self.most = most


class PropertyCollector(Managed):
    """The one of the service, with filters per session, or one a client made for itself."""

    TYPE = vmodl.query.PropertyCollector
    vcenter: ServiceHub

    def __init__(self, vcenter: ServiceHub, moid: str, owner: Optional[Session] = None) -> None:
        super().__init__(vcenter, moid)
        self._owner = owner
        self._states: dict[Session, _Watch] = {}
        self._pages: dict[str, Retrieval] = {}

    # Reading

    @operation("RetrieveProperties")
    def retrieve(self, call: Call, specs: list[Any]) -> list[Any]:
        return self._read(call, self._select(specs))

    @operation("RetrievePropertiesEx")
    def retrieve_ex(self, call: Call, specs: list[Any], options: Any) -> Any:
        most = self.vcenter.habits.max_objects
        if options.maxObjects is not None:
            if options.maxObjects < 1:
                raise faults.invalid_argument("options.maxObjects")
            most = min(most, options.maxObjects)
        return self._page(call, Retrieval(self._select(specs), most))

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
        wanted: dict[Managed, list[str]] = {}
        for spec in specs:
            for managed in selection.objects(self.vcenter, spec):
                known = wanted.setdefault(managed, [])
                known += [path for path in selection.paths(managed, spec) if path not in known]
        return wanted

    def _page(self, call: Call, page: Retrieval) -> Any:
        """Some objects, with a token where there are more; None where there are none."""
        alive = [item for item in page.wanted.items() if item[0] in self.vcenter.objects]
        if not alive:
            return None
        now, left = dict(alive[: page.most]), dict(alive[page.most :])
        result = Collector.RetrieveResult(objects=self._read(call, now))
        if left:
            result.token = self.vcenter.objects.new_moid("token-")
            self._pages[result.token] = Retrieval(left, page.most)
        return result

    def _read(self, call: Call, wanted: dict[Managed, list[str]]) -> list[Any]:
        return [
            content.content(self.vcenter, managed, paths, call.session)
            for managed, paths in wanted.items()
        ]

    # Watching

    @property
    def filter(self) -> list[Filter]:
        session = self.vcenter.sessions.serving_session
        return self._watch(session).filters if session is not None else []

    def _watch(self, session: Session) -> _Watch:
        return self._states.setdefault(session, _Watch())

    def _forget(self, session: Session, dropped: Filter) -> None:
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
        seconds, most = LONGEST_WAIT, MOST_UPDATES
        if options is not None:
            seconds = LONGEST_WAIT if options.maxWaitSeconds is None else options.maxWaitSeconds
            most = options.maxObjectUpdates or MOST_UPDATES
        return self._wait(call, version, float(seconds), most)

    @operation("CancelWaitForUpdates")
    def cancel_wait(self, call: Call) -> None:
        assert call.session is not None
        self._watch(call.session).cancelled += 1

    def _wait(self, call: Call, version: Optional[str], seconds: float, most: int) -> Any:
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
                updates = watch.updates(known, most)
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

    Every change has a number; the version a client names is the last one it was told of.
    """

    def __init__(self) -> None:
        self.filters: list[Filter] = []
        self.cancelled = 0
        self._last = 0

    def parse_version(self, version: Optional[str]) -> int:
        """Raises InvalidCollectorVersion for what this collector never told."""
        number = int(version) if version and version.isdigit() else 0
        if version and not 0 < number <= self._last:
            raise vmodl.query.InvalidCollectorVersion(msg=f"Unknown version {version}")
        return number

    def updates(self, version: int, most: int) -> Optional[Any]:
        """An UpdateSet with the oldest changes after a version; None where there are none."""
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
        told = changes[:most]
        sets = {
            position: Collector.FilterUpdate(filter=self.filters[position].ref)
            for _, position, _ in told
        }
        for _, position, update in told:
            sets[position].objectSet.append(update)
        return Collector.UpdateSet(
            version=str(told[-1][0]),
            filterSet=list(sets.values()),
            truncated=len(told) < len(changes),
        )

    def _next(self) -> int:
        self._last += 1
        return self._last
