# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Writes every node's disks from segment files into a directory."""

from __future__ import annotations

from pathlib import Path

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.plan import WritePlan
from bareos_vmsnap.target import steps
from bareos_vmsnap.target.qcow2_directory import Qcow2Directory
from bareos_vmsnap.tree import model, plan_restore
from bareos_vmsnap.tree.segment_header import SegmentIdentity


def rebuild(tree: model.BlockTree, found: dict[str, Path], directory: Path) -> int:
    """Write every node's disks below `directory`; return how many nodes there are.

    `found` is the file of each segment, by its name. Raises errors.RestoreError.
    """
    nodes = list(tree.nodes.values())
    live = tuple(model.LiveSnapshot(n.id, n.base, n.directory, "") for n in nodes[:-1])
    point = model.TimePoint("rebuilt", "", 0, "F", "", nodes[-1].id, nodes[-1].base, live)
    target = Qcow2Directory(directory, tree)
    for step in plan_restore.plan(tree, point).steps:
        if isinstance(step, plan_restore.Write):
            _apply(target, step, tree, found[step.segment.name])
        else:
            steps.perform(step, target, tree)
    target.finish()
    return len(nodes)


def _apply(
    target: Qcow2Directory, write: plan_restore.Write, tree: model.BlockTree, path: Path
) -> None:
    segment = write.segment
    node = tree.nodes[segment.node]
    disk = node.disk(segment.disk)
    assert disk is not None
    plan = WritePlan(
        target.describe(disk),
        segment.capacity,
        expect=SegmentIdentity.of(tree.vm, node, disk, segment),
        drop_zeros=write.fresh,
    )
    try:
        with client.Mover.write(plan) as mover:
            with path.open("rb") as source:
                mover.feed(source)
            mover.finish(client.WRITE_END_TIMEOUT)
    except (errors.VmsnapError, OSError) as error:
        cause = system_errors.translated(error)
        raise errors.RestoreError(
            f"{path} cannot be applied: {cause}", id="segment-not-restored"
        ) from cause
