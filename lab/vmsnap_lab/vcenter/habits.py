# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The habits a vCenter may have, as switches that can be turned while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from vmsnap_lab.storage import CbtHabits, FileHabits


@dataclass
class Failure:
    """One failure in the future: see `Habits.fail`."""

    method: str
    fault: Any
    skip: int
    times: int
    after: bool


@dataclass
class Habits:
    """Every field may be changed at any time and holds from the next call on.

    page_areas: most areas in one answer of QueryChangedDiskAreas.
    page_bytes: most bytes of the disk described by one answer; None: no limit.
    empty_pages: unchanged stretches are answered on their own, as pages without areas.
    areas_once: an area that begins in one page and ends in another is named once and whole, in the
        page where it begins. The API's reference does not say that areas end with their page.
    task_seconds: how long every task runs before it does its work; task_seconds_of: per
        method (`"RemoveSnapshot_Task"`), instead of task_seconds.
    session_calls: a session expires with its n-th call after login; None: never.
    merge_links: a link left by a snapshot deleted under several children is merged when one
        child is left, with the next "removal" of any snapshot, or only by "consolidate"
        (ConsolidateVMDisks).
    revert_restores_tracking: reverting brings changeTrackingEnabled back to what it was when
        the snapshot was taken, like the rest of the configuration.
    revert_restores_options: reverting brings extraConfig back. VMware's vm-operator relies on it
        (github.com/vmware-tanzu/vm-operator, pull request 1161); no document of the API says so.
    relocate_resets_tracking: moving a disk to another datastore makes its change ids invalid.
    change_tracking_supported: capability.changeTrackingSupported of all VMs.
    quiesce_faults: faults for the next quiesced snapshots of running VMs, first one first.
    longest_snapshot_name: characters of a snapshot's name that are kept, the rest is cut off; None:
        all. vSphere's clients allow 80.
    full_datastores: names of datastores on which nothing can be created any more.
    max_objects: most objects in one page of RetrievePropertiesEx, even if the client allows more.
    silent_reverts: reverts leave no event. Not seen on a real vCenter; it is what its history looks
        like if its database was rolled back, or a host was worked on while it was away.
    power_off_reverts: a power-off obeys config.flags.snapshotPowerOffBehavior = "revert" (API
        reference, VirtualMachinePowerOffBehavior) by a revert within the power-off's task.
    events_late: seconds after which an event is in the history. vCenter reads the events of its
        hosts after they have happened.
    most_events: most events that an event collector has; None: no limit. The API reference of
        EventFilterSpec.maxCount speaks of a "default maximum number". kept_events: which of them
        it has then, the "newest" or the "oldest".
    chain_zero: every event has the chainId 0, and every task the eventChainId 0. Not known of a
        real server; the API reference promises no value where there is no vCenter.
    silent_reconfigurations: reconfigurations leave no event, as silent_reverts.
    attach_uuid: a disk's file that was detached and is attached again shows the UUID it had ("kept"),
        as its descriptor has it (ddb.uuid), or a "new" one.
    crash_leaves: the event that a VM has of its host's crash: "disconnected" (VmDisconnectedEvent),
        "restarted" (the same, and VmRestartedOnAlternateHostEvent by vSphere HA), or "nothing".
        A single host has none in any case.
    cbt: the habits of changed block tracking; belongs to the storage. files: those of disk files.
    before_call: called before each call is served, with the method's name ("Fetch" reads one
        property) and the caller's session, so that something can happen between two calls of a
        client. No habit of a vCenter's, but a means of tests.
    """

    page_areas: int = 2000
    page_bytes: Optional[int] = None
    empty_pages: bool = False
    areas_once: bool = False
    task_seconds: float = 0.0
    task_seconds_of: dict[str, float] = field(default_factory=dict)
    session_calls: Optional[int] = None
    merge_links: str = "removal"
    revert_restores_tracking: bool = True
    revert_restores_options: bool = True
    relocate_resets_tracking: bool = False
    change_tracking_supported: bool = True
    quiesce_faults: list[Any] = field(default_factory=list)
    longest_snapshot_name: Optional[int] = None
    full_datastores: set[str] = field(default_factory=set)
    max_objects: int = 1000
    silent_reverts: bool = False
    power_off_reverts: bool = False
    events_late: float = 0.0
    most_events: Optional[int] = None
    kept_events: str = "newest"
    chain_zero: bool = False
    silent_reconfigurations: bool = False
    attach_uuid: str = "kept"
    crash_leaves: str = "disconnected"
    cbt: CbtHabits = field(default_factory=CbtHabits)
    files: FileHabits = field(default_factory=FileHabits)
    before_call: Optional[Callable[[str, Any], None]] = None

    def __post_init__(self) -> None:
        self._failures: list[Failure] = []
        self._lock = threading.Lock()

    def fail(
        self, method: str, fault: Any, *, nth: int = 1, times: int = 1, after: bool = False
    ) -> None:
        """Let the nth call of `method` from now on fail with `fault`, `times` calls in a row.

        `method` is the name on the wire: "CreateSnapshot_Task", "QueryChangedDiskAreas". A
        task fails, a plain method raises. With `after` the work is done all the same.
        A ConnectionError as fault closes the connection without an answer, before the call has
        had any effect or, with `after`, when a task has been started that the client does not know.
        """
        with self._lock:
            self._failures.append(Failure(method, fault, nth - 1, times, after))

    def forgive(self) -> None:
        """Drop all future failures."""
        with self._lock:
            self._failures.clear()

    def next_failure(self, method: str, *, connection: bool) -> Optional[Failure]:
        """Count one call of `method`; the failure it meets, if any.

        `connection` asks for failures of the connection, otherwise for those of the work.
        """
        with self._lock:
            for failure in list(self._failures):
                breaks = isinstance(failure.fault, ConnectionError)
                if failure.method != method or breaks is not connection:
                    continue
                if failure.skip > 0:
                    failure.skip -= 1
                    continue
                failure.times -= 1
                if failure.times <= 0:
                    self._failures.remove(failure)
                return failure
        return None

    def seconds_of(self, method: str) -> float:
        return self.task_seconds_of.get(method, self.task_seconds)
