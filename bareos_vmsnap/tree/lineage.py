# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What still holds from the previous backup: known snapshots, and whether its state is an ancestor.

A daily incremental is small because it asks CBT for the changes since the last backup snapshot,
which was deleted long ago. That is only correct if the VM continued straight from there: a change
id does not prove lineage, as after a revert the same id can belong to another history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.tree import (
    cbt_trust,
    foreign_files,
    late_tracking,
    model,
    segment_header,
)
from bareos_vmsnap.tree.observed import Observed, Snapshot

# Why a job left no marker in the VM (TimePoint.without_marker).
PRIVILEGE = "privilege"
REFUSED = "refused"
DISTURBED = "disturbed"
_WITHOUT = {
    PRIVILEGE: "the privilege for it was missing",
    REFUSED: "vSphere refused it then",
    DISTURBED: "a snapshot was taken or reverted to between the marker and the backup snapshot",
}


@dataclass(frozen=True)
class History:
    """What vSphere's event history says about the VM from the previous backup snapshot to today's.

    `gap` is why it is not known to be whole, or "" if the creation of both is in it. `breaks` are
    events after which the previous state may not be an ancestor (reverts, consolidations, migrations
    of disks). `doubts` are why it does not prove that it is one, if nothing else does.
    """

    gap: str = ""
    breaks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """The line from the previous state to today's; `first` is the moref of its first new node."""

    base: segment_header.Node
    first: str
    timepoint: str


def known(previous: model.BlockTree, observed: Observed) -> dict[str, segment_header.Node]:
    """Nodes of the previous block tree whose user snapshots still exist, by today's moref.

    A snapshot is recognised by its disks, and by its id together with its creation time, which
    vSphere never changes and never reuses within a VM. Names, parents, files and morefs may
    change; the content cannot.
    """
    if previous.vm.instance_uuid != observed.vm.instance_uuid:
        return {}
    nodes = {
        (node.snapshot_id, node.created): node
        for node in previous.nodes.values()
        if node.kind == segment_header.SNAPSHOT
    }
    found = {}
    for snapshot in observed.snapshots:
        node = nodes.get((snapshot.id, snapshot.created))
        if node is not None and _disks(node.disks) == _disks(snapshot.disks):
            found[snapshot.moref] = node
    return found


def _disks(disks: tuple[segment_header.Disk, ...]) -> set[tuple[str, int]]:
    return {(disk.identity, disk.capacity) for disk in disks}


def line(
    previous: model.BlockTree,
    observed: Observed,
    nodes: Mapping[str, segment_header.Node],
    history: History,
    require_marker: bool = False,
) -> tuple[Optional[Line], str]:
    """The line from the previous backup's state to today's, or None and the reason.

    `nodes` is the result of known(). With `require_marker` the history never does alone.
    """
    point = previous.point
    base = previous.nodes[point.state]
    if previous.vm.instance_uuid != observed.vm.instance_uuid:
        return None, "the previous backup is of another VM"
    first, reason = _first(point, observed, nodes)
    if first is None:
        return None, reason
    reason = distrust(point, first.markers, history, require_marker) or ""
    if reason:
        return None, reason
    for disk in first.disks:
        under = base.disk(disk.key)
        if under is None or under.identity != disk.identity:
            continue
        ends = _end(under, base), cbt_trust.End(disk, first.change_tracking, first.restored_by)
        reason = cbt_trust.disagree(*ends) or ""
        if not reason and under.path != disk.path:
            reason = f"its file is another than then ({disk.path}, it was {under.path})"
        reason = reason or late_tracking.reason(previous, observed, base, first, disk) or ""
        reason = reason or foreign_files.reason(observed, disk) or ""
        if reason:
            return None, f"{disk.label}: {reason}"
    return Line(base, first.moref, point.id), ""


def distrust(
    point: model.TimePoint, markers: tuple[str, ...], history: History, require_marker: bool
) -> Optional[str]:
    """Why the previous backup's state is not known to be an ancestor, or None if it is.

    There are two witnesses. `markers`, in the configuration of the first node after that state:
    a revert to a snapshot that is older than the previous backup takes its marker away. And the
    event history, in which nothing may have happened. Both are needed; if the previous job lacked
    the privilege to leave a marker, the history does alone unless there are doubts about it.
    """
    if point.marker is not None and point.marker not in markers:
        return "the marker that the previous backup left in the VM is gone, as after a revert"
    if history.gap:
        return history.gap
    if history.breaks:
        return f"since the previous backup: {', '.join(sorted(set(history.breaks)))}"
    if point.marker is not None:
        return None
    why = _WITHOUT.get(point.without_marker or "", "it was made by a version without markers")
    reason = f"the previous backup left no marker in the VM ({why})"
    if point.without_marker != PRIVILEGE:
        return reason
    if require_marker:
        return f"{reason}, which require_marker=yes asks for"
    if history.doubts:
        doubts = ", ".join(sorted(set(history.doubts)))
        return f"{reason}, and the event history does not do alone: {doubts}"
    return None


def proves(observed: Observed, marker: str) -> bool:
    """Whether this job's marker can only be in what descends from the state it saves.

    It was written before the backup snapshot was taken. A snapshot taken in between has it as well,
    and a revert to that one would bring it back; a revert in between has taken it away.
    """
    parents = {snapshot.moref: snapshot.parent for snapshot in observed.snapshots}

    def follows(snapshot: Snapshot) -> bool:
        at: Optional[str] = snapshot.moref
        while at is not None and at != observed.state.moref:
            at = parents[at]
        return at is not None

    marked = [s for s in observed.snapshots if marker in s.markers]
    return marker in observed.state.markers and all(follows(s) for s in marked)


def _first(
    point: model.TimePoint, observed: Observed, nodes: Mapping[str, segment_header.Node]
) -> tuple[Optional[Snapshot], str]:
    """The first node after the previous state: a snapshot taken since, or today's state.

    Without a revert, all new snapshots lie on one line from the snapshot that was current then.
    """
    by_moref = {snapshot.moref: snapshot for snapshot in observed.snapshots}
    first, at = observed.state, observed.current
    while at is not None and at not in nodes:
        first, at = by_moref[at], by_moref[at].parent
    stood_at = nodes[at].id if at is not None else None
    if stood_at != point.current:
        return None, "the VM stands at another snapshot than at the previous backup"
    return first, ""


def _end(disk: segment_header.Disk, node: segment_header.Node) -> cbt_trust.End:
    return cbt_trust.End(disk, node.change_tracking)
