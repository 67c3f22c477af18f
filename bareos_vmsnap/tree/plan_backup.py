# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Planning a backup: which nodes are new, what each is based on, and the sending order."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import (
    cbt_trust,
    disturbances,
    foreign_files,
    late_tracking,
    lineage,
    manifest,
    method_ladder,
    model,
    names,
    segment_header,
)
from bareos_vmsnap.tree.observed import Observed, Snapshot


@dataclass(frozen=True)
class Task:
    """One segment to send.

    `segment` lacks only what is known after sending (method, reason, sizes, digest). `snapshot` and
    `base_snapshot` are the morefs of the snapshots to read, `rungs` the methods to try, best first,
    and `distrust` the reason if CBT is not among them. If `remembered`, the base is the previous
    backup's state, which can no longer be read. `whole` is why nothing that tells what is in use
    may be believed, "" if it may.
    """

    segment: segment_header.Segment
    snapshot: str
    base_snapshot: Optional[str]
    disk: segment_header.Disk
    base_disk: Optional[segment_header.Disk]
    rungs: tuple[method_ladder.Rung, ...]
    distrust: str = ""
    remembered: bool = False
    whole: str = ""


@dataclass(frozen=True)
class Job:
    """What the plan needs to know about the Bareos job; `taken` is ISO 8601 in UTC."""

    name: str
    jobid: int
    level: str
    timepoint: str
    taken: str


@dataclass
class BackupPlan:
    """The block tree as it will be after the job, and the segments to send, in order."""

    tree: model.BlockTree
    point: model.TimePoint
    tasks: list[Task]

    def header(self, segment: segment_header.Segment) -> segment_header.SegmentHeader:
        """The header of a segment of this plan."""
        node = self.tree.nodes[segment.node]
        disk = node.disk(segment.disk)
        assert disk is not None, "a segment is of a disk that its node has"
        live = next((s for s in self.point.snapshots if s.node == node.id), None)
        name, description = (live.name, live.description) if live else ("", "")
        return segment_header.SegmentHeader(self.tree.vm, node, name, description, disk, segment)


@dataclass(frozen=True)
class Previous:
    """What can be built upon from the previous backup.

    `nodes` are the known snapshots' nodes by today's moref; `line` leads from the previous state
    to today's, or is None if that cannot be trusted. See lineage.
    """

    tree: model.BlockTree
    nodes: Mapping[str, segment_header.Node]
    line: Optional[lineage.Line] = None


def plan(
    observed: Observed, job: Job, policy: method_ladder.Policy, previous: Optional[Previous] = None
) -> BackupPlan:
    """Plan a job: segments of every node that is new since `previous`, and of the state.

    The block tree holds this job's time point and everything it is built upon; what is no longer
    needed is dropped.
    """
    vm = observed.vm
    tree = model.BlockTree(vm, names.vm_directory(vm.name, vm.instance_uuid))
    nodes: dict[str, segment_header.Node] = {}
    if previous is not None:
        tree.directory = previous.tree.directory
        nodes.update(previous.nodes)
        _carry_over(previous, tree)
    tasks: list[Task] = []
    found = {snapshot.moref: snapshot for snapshot in observed.snapshots}
    line = previous.line if previous is not None else None

    for snapshot in _order(observed):
        if snapshot.moref in nodes:
            continue
        above = nodes.get(snapshot.parent) if snapshot.parent else None
        on_line = line is not None and line.first == snapshot.moref
        base = line.base if line is not None and on_line else above
        node = _node(tree, snapshot, base, above, job, is_state=snapshot is observed.state)
        nodes[snapshot.moref] = tree.nodes[node.id] = node
        tree.configs[node.config] = snapshot.config
        base_snapshot = found[snapshot.parent] if snapshot.parent and not on_line else None
        edge = Edge(base, base_snapshot, line.timepoint if line is not None and on_line else None)
        tasks += _tasks(tree, observed, node, snapshot, edge, job, policy)

    point = _timepoint(observed, nodes, job, previous)
    tree.timepoint = point
    tree.late_tracking = late_tracking.known(tree, observed)
    _forget(tree, point)
    return BackupPlan(tree, point, tasks)


@dataclass(frozen=True)
class Edge:
    """What a node is based on: a node, and its snapshot if that still exists, or the time point
    whose backup snapshot's change ids are remembered.
    """

    base: Optional[segment_header.Node]
    snapshot: Optional[Snapshot]
    remembered: Optional[str]


def oldest_base(observed: Observed, previous: Optional[Previous] = None) -> Optional[str]:
    """When the oldest snapshot was taken that a node to be sent is based on; None if none is."""
    found = {snapshot.moref: snapshot for snapshot in observed.snapshots}
    known = previous.nodes if previous is not None else {}
    line = previous.line if previous is not None else None
    bases = [
        found[snapshot.parent].created
        for snapshot in (*observed.snapshots, observed.state)
        if snapshot.parent is not None
        and snapshot.moref not in known
        and (line is None or line.first != snapshot.moref)
    ]
    return min(bases, default=None)


def _carry_over(previous: Previous, tree: model.BlockTree) -> None:
    tree.nodes.update(previous.tree.nodes)
    tree.segments.update(previous.tree.segments)
    tree.configs.update(previous.tree.configs)
    tree.late_tracking.update(previous.tree.late_tracking)


def _forget(tree: model.BlockTree, point: model.TimePoint) -> None:
    """Keep only what this time point needs; earlier ones are in their own jobs' manifests."""
    live = [point.state, *(snapshot.node for snapshot in point.snapshots)]
    needed = tree.with_bases(live)
    tree.nodes = {name: node for name, node in tree.nodes.items() if name in needed}
    tree.segments = {n: s for n, s in tree.segments.items() if s.node in needed}
    used = {node.config for node in tree.nodes.values()}
    tree.configs = {key: config for key, config in tree.configs.items() if key in used}


def _order(observed: Observed) -> list[Snapshot]:
    """User snapshots in the order they were taken, parents first, then the VM's state.

    A restore takes the nodes in this order, and VMware lists siblings in the order of their
    creation, so the restored tree lists them as the original did.
    """
    children: dict[Optional[str], list[Snapshot]] = {}
    for snapshot in observed.snapshots:
        children.setdefault(snapshot.parent, []).append(snapshot)
    order: list[Snapshot] = []
    counter = itertools.count()  # ids are unique, so it is never compared
    ready = [(s.id, next(counter), s) for s in children.get(None, [])]
    heapq.heapify(ready)
    while ready:
        snapshot = heapq.heappop(ready)[2]
        order.append(snapshot)
        for child in children.get(snapshot.moref, []):
            heapq.heappush(ready, (child.id, next(counter), child))
    return [*order, observed.state]


def _node(
    tree: model.BlockTree,
    snapshot: Snapshot,
    base: Optional[segment_header.Node],
    above: Optional[segment_header.Node],
    job: Job,
    is_state: bool,
) -> segment_header.Node:
    """The node of a snapshot. Its directory lies in its parent's, whatever its base is."""
    parent = above.directory if above else tree.directory
    if is_state:
        directory = names.state_directory(parent, job.timepoint)
    else:
        taken = {node.directory for node in tree.nodes.values()}
        directory = names.snapshot_directory(parent, snapshot.id, snapshot.name, taken)
    return segment_header.Node(
        id=f"{job.timepoint}.{snapshot.id}",
        kind=segment_header.STATE if is_state else segment_header.SNAPSHOT,
        base=base.id if base else None,
        directory=directory,
        disks=snapshot.disks,
        config=manifest.config_key(snapshot.config),
        cpus=snapshot.cpus,
        memory_mb=snapshot.memory_mb,
        created=snapshot.created,
        moref=snapshot.moref,
        snapshot_id=snapshot.id,
        power_state=snapshot.power_state,
        quiesced=snapshot.quiesced,
        change_tracking=snapshot.change_tracking,
    )


def _tasks(
    tree: model.BlockTree,
    observed: Observed,
    node: segment_header.Node,
    snapshot: Snapshot,
    edge: Edge,
    job: Job,
    policy: method_ladder.Policy,
) -> list[Task]:
    tasks = []
    for disk in snapshot.disks:
        under = same_disk(edge.base, disk)
        # As it is today: its file's name changes when snapshots below it are deleted.
        base_now = edge.snapshot.disk(disk.key) if edge.snapshot and under else under
        reason = ""
        if edge.remembered is not None:
            rungs = method_ladder.remembered(
                cbt_trust.End(under, True) if under else None, edge.remembered
            )
        else:
            end = _end(base_now, edge.snapshot) if base_now and edge.snapshot else None
            doubt = _doubt(tree, observed, snapshot, edge, disk, policy)
            rungs = method_ladder.rungs(end, _end(disk, snapshot), policy, doubt)
            if end is not None:
                reason = cbt_trust.distrust(end, _end(disk, snapshot)) or doubt or ""
        segment = segment_header.Segment(
            name=names.segment(node.directory, disk.slot, job.timepoint),
            node=node.id,
            disk=disk.key,
            base=edge.base.id if edge.base and under else None,
            timepoint=job.timepoint,
            method="",
            reason="",
            capacity=disk.capacity,
            change_id=disk.change_id,
            base_change_id=base_now.change_id if base_now else None,
        )
        read_base = edge.snapshot.moref if edge.snapshot and under else None
        remembered = edge.remembered is not None and under is not None
        tasks.append(
            Task(
                segment,
                snapshot.moref,
                read_base,
                disk,
                base_now,
                rungs,
                reason,
                remembered,
                foreign_files.reason(observed, disk) or "",
            )
        )
    return tasks


def _doubt(
    tree: model.BlockTree,
    observed: Observed,
    snapshot: Snapshot,
    edge: Edge,
    disk: segment_header.Disk,
    policy: method_ladder.Policy,
) -> Optional[str]:
    """Why CBT is not to be trusted on an edge, besides what its ends show; or None."""
    if not policy.use_cbt:
        return "use_cbt=no"
    reason = late_tracking.reason(tree, observed, edge.base, snapshot, disk)
    reason = reason or foreign_files.reason(observed, disk)
    if reason is None and edge.snapshot is not None:
        since, until = edge.snapshot.created, snapshot.created
        reason = disturbances.reason(observed.disturbances, since, until, disk)
    return reason


def _end(disk: segment_header.Disk, snapshot: Snapshot) -> cbt_trust.End:
    return cbt_trust.End(disk, snapshot.change_tracking, snapshot.restored_by)


def same_disk(
    base: Optional[segment_header.Node], disk: segment_header.Disk
) -> Optional[segment_header.Disk]:
    """The same virtual disk at the base, or None; another disk may have its key."""
    under = base.disk(disk.key) if base else None
    return under if under and under.identity == disk.identity else None


def _timepoint(
    observed: Observed,
    nodes: dict[str, segment_header.Node],
    job: Job,
    previous: Optional[Previous],
) -> model.TimePoint:
    live = tuple(
        model.LiveSnapshot(
            node=nodes[s.moref].id,
            parent=nodes[s.parent].id if s.parent else None,
            name=s.name,
            description=s.description,
        )
        for s in observed.snapshots
    )
    before = previous.tree.point if previous is not None else None
    return model.TimePoint(
        id=job.timepoint,
        job=job.name,
        jobid=job.jobid,
        level=job.level,
        taken=job.taken,
        state=nodes[observed.state.moref].id,
        current=nodes[observed.current].id if observed.current else None,
        snapshots=live,
        power_state=observed.power_state,
        event_chain=observed.event_chain,
        previous=before.id if before is not None else None,
        ancestors=(before.id, *before.ancestors) if before is not None else (),
        server=observed.server,
        marker=observed.marker,
        without_marker=observed.without_marker,
    )


def sent(
    segment: segment_header.Segment, rung: method_ladder.Rung, **sizes: object
) -> segment_header.Segment:
    """The segment as it was sent. A `full` one has no base; see Segment.base."""
    base = None if rung.method == method_names.FULL else segment.base
    fields = {"method": rung.method, "reason": rung.reason, "base": base, **sizes}
    return dataclasses.replace(segment, **fields)  # type: ignore[arg-type]
