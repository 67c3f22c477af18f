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

from bareos_vmsnap.tree import ladder, model, segment_header
from bareos_vmsnap.tree.observed import Observed, Snapshot


@dataclass(frozen=True)
class History:
    """What vSphere's event history says about the VM since the previous backup.

    `complete` means that it reaches back to that backup; `breaks` are events after which the
    previous state may not be an ancestor (reverts, consolidations, migrations of disks).
    """

    complete: bool
    breaks: tuple[str, ...] = ()


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
) -> tuple[Optional[Line], str]:
    """The line from the previous backup's state to today's, or None and the reason.

    `nodes` is the result of known().
    """
    point = previous.point
    base = previous.nodes[point.state]
    if previous.vm.instance_uuid != observed.vm.instance_uuid:
        return None, "the previous backup is of another VM"
    if not history.complete:
        return None, "vSphere's event history does not reach back to the previous backup"
    if history.breaks:
        return None, f"since the previous backup: {', '.join(sorted(set(history.breaks)))}"
    first, reason = _first(point, observed, nodes)
    if first is None:
        return None, reason
    for disk in first.disks:
        under = base.disk(disk.key)
        if under is None or under.identity != disk.identity:
            continue
        ends = _end(under, base), ladder.End(disk, first.change_tracking, first.restored_by)
        reason = ladder.disagree(*ends) or ""
        if not reason and under.path != disk.path:
            reason = f"its file is another than then ({disk.path}, it was {under.path})"
        if reason:
            return None, f"{disk.label}: {reason}"
    return Line(base, first.moref, point.id), ""


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


def _end(disk: segment_header.Disk, node: segment_header.Node) -> ladder.End:
    return ladder.End(disk, node.change_tracking)
