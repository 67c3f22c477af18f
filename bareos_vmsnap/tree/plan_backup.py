# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Planning a backup: which nodes are new, what each is based on, in which order they are sent."""

from __future__ import annotations

import dataclasses
import heapq
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.tree import ladder, manifest, model, names
from bareos_vmsnap.tree.observed import Observed, Snapshot


@dataclass(frozen=True)
class Task:
    """One segment to send.

    `segment` is complete but for what sending tells (method, reason, sizes, digest). `snapshot` and
    `base_snapshot` are the morefs of the snapshots to read; `rungs` the methods to try, best first.
    """

    segment: model.Segment
    snapshot: str
    base_snapshot: Optional[str]
    disk: model.Disk
    base_disk: Optional[model.Disk]
    rungs: tuple[ladder.Rung, ...]


@dataclass(frozen=True)
class Job:
    """What the plan needs to know of the Bareos job; `taken` is ISO 8601 in UTC."""

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


def plan(observed: Observed, job: Job, policy: ladder.Policy) -> BackupPlan:
    """Plan the full work: every snapshot, parents first, and the state."""
    vm = observed.vm
    tree = model.BlockTree(vm, names.vm_directory(vm.name, vm.instance_uuid))
    nodes: dict[str, model.Node] = {}
    tasks: list[Task] = []
    found = {snapshot.moref: snapshot for snapshot in observed.snapshots}

    for snapshot in _order(observed):
        base = nodes.get(snapshot.parent) if snapshot.parent else None
        node = _node(tree, snapshot, base, job, is_state=snapshot is observed.state)
        nodes[snapshot.moref] = tree.nodes[node.id] = node
        tree.configs[node.config] = snapshot.config
        base_snapshot = found[snapshot.parent] if snapshot.parent else None
        tasks += _tasks(node, snapshot, base, base_snapshot, job, policy)

    point = _timepoint(observed, nodes, job)
    tree.timepoints[point.id] = point
    return BackupPlan(tree, point, tasks)


def _order(observed: Observed) -> list[Snapshot]:
    """User snapshots in the order they were taken, parents first, then the VM's state.

    A restore takes the nodes as they come, and VMware lists siblings in the order of their
    creation: so the restored tree lists them as the original did.
    """
    children: dict[Optional[str], list[Snapshot]] = {}
    for snapshot in observed.snapshots:
        children.setdefault(snapshot.parent, []).append(snapshot)
    order: list[Snapshot] = []
    ready = [(s.id, n, s) for n, s in enumerate(children.get(None, []))]
    heapq.heapify(ready)
    while ready:
        snapshot = heapq.heappop(ready)[2]
        order.append(snapshot)
        for n, child in enumerate(children.get(snapshot.moref, [])):
            heapq.heappush(ready, (child.id, len(order) * 1000 + n, child))
    return [*order, observed.state]


def _node(
    tree: model.BlockTree,
    snapshot: Snapshot,
    base: Optional[model.Node],
    job: Job,
    is_state: bool,
) -> model.Node:
    parent = base.directory if base else tree.directory
    if is_state:
        directory = names.state_directory(parent, job.timepoint)
    else:
        taken = {node.directory for node in tree.nodes.values()}
        directory = names.snapshot_directory(parent, snapshot.id, snapshot.name, taken)
    return model.Node(
        id=f"{job.timepoint}.{len(tree.nodes) + 1}",
        kind=model.STATE if is_state else model.SNAPSHOT,
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
    node: model.Node,
    snapshot: Snapshot,
    base: Optional[model.Node],
    base_snapshot: Optional[Snapshot],
    job: Job,
    policy: ladder.Policy,
) -> list[Task]:
    tasks = []
    for disk in snapshot.disks:
        under = same_disk(base, disk)
        end = None
        if under is not None and base_snapshot is not None:
            end = _end(under, base_snapshot)
        tries = ladder.rungs(end, _end(disk, snapshot), policy)
        segment = model.Segment(
            name=names.segment(node.directory, disk.slot, job.timepoint),
            node=node.id,
            disk=disk.key,
            base=base.id if base and under else None,
            timepoint=job.timepoint,
            method="",
            reason="",
            capacity=disk.capacity,
            change_id=disk.change_id,
            base_change_id=under.change_id if under else None,
        )
        read_base = base_snapshot.moref if base_snapshot and under else None
        tasks.append(Task(segment, snapshot.moref, read_base, disk, under, tries))
    return tasks


def _end(disk: model.Disk, snapshot: Snapshot) -> ladder.End:
    return ladder.End(disk, snapshot.change_tracking, snapshot.restored_by)


def same_disk(base: Optional[model.Node], disk: model.Disk) -> Optional[model.Disk]:
    """The same virtual disk at the base, or None: another file at its key is another disk."""
    under = base.disk(disk.key) if base else None
    return under if under and under.identity == disk.identity else None


def _timepoint(observed: Observed, nodes: dict[str, model.Node], job: Job) -> model.TimePoint:
    live = tuple(
        model.LiveSnapshot(
            node=nodes[s.moref].id,
            parent=nodes[s.parent].id if s.parent else None,
            name=s.name,
            description=s.description,
        )
        for s in observed.snapshots
    )
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
    )


def sent(segment: model.Segment, rung: ladder.Rung, **sizes: object) -> model.Segment:
    """The segment as it was sent. A `full` one builds on nothing; see Segment.base."""
    base = None if rung.method == model.FULL else segment.base
    fields = {"method": rung.method, "reason": rung.reason, "base": base, **sizes}
    return dataclasses.replace(segment, **fields)  # type: ignore[arg-type]
