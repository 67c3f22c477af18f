# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From segment files alone back to disks: no catalog, no vCenter, no manifest needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bareos_vmsnap import errors
from bareos_vmsnap.mover import client
from bareos_vmsnap.stream import errors as stream_errors
from bareos_vmsnap.stream import reader
from bareos_vmsnap.target.qcow2_directory import Qcow2Directory
from bareos_vmsnap.tree import codec, model, plan_restore

_TIMEOUT = 3600  # seconds a mover may take to end after the last byte


def tree_of(files: Iterable[Path]) -> tuple[model.BlockTree, dict[str, Path]]:
    """The block tree the files' headers tell of, and the file of each segment.

    Raises errors.RestoreError for damaged headers, files of several VMs, or none.
    """
    tree: Any = None
    found: dict[str, Path] = {}
    for path in sorted(files):
        header = _header(path)
        try:
            vm = codec.decode(model.Vm, header["vm"])
            segment = codec.decode(model.Segment, header["segment"])
            disk = codec.decode(model.Disk, header["disk"])
            node = codec.decode(model.Node, header["node"])
        except (KeyError, codec.MismatchError) as error:
            raise errors.RestoreError(
                f"{path} does not tell whose it is: {error}", id="segment-nameless"
            ) from error
        if tree is None:
            tree = model.BlockTree(vm, "/".join(segment.name.split("/")[:3]))
        if vm.instance_uuid != tree.vm.instance_uuid:
            raise errors.RestoreError(
                f"{path} is of another VM ({vm.name}) than the files before", id="selection-mixed"
            )
        known = tree.nodes.setdefault(node.id, node)
        tree.nodes[node.id] = replace(known, disks=(*known.disks, disk))
        tree.segments[segment.name] = segment
        found[segment.name] = path
    if tree is None:
        raise errors.RestoreError("There is no segment file (*.vmseg)", id="segments-missing")
    tree.nodes = {node.id: node for node in _bases_first(tree)}
    for segment in tree.segments.values():
        if segment.base is not None and tree.nodes[segment.base].disk(segment.disk) is None:
            raise errors.RestoreError(
                f"{found[segment.name]}: the segment of disk {segment.disk} at node {segment.base}, "
                "which it builds on, is missing",
                todo="Extract the files of every job since the last full",
                id="segments-missing",
            )
    return tree, found


def rebuild(tree: model.BlockTree, found: dict[str, Path], directory: Path) -> int:
    """Write every node's disks below `directory`; return how many nodes there are.

    Raises errors.RestoreError.
    """
    nodes = list(tree.nodes.values())
    live = tuple(model.LiveSnapshot(n.id, n.base, n.directory, "") for n in nodes[:-1])
    point = model.TimePoint("rebuilt", "", 0, "F", "", nodes[-1].id, nodes[-1].base, live)
    target = Qcow2Directory(directory, tree)
    for step in plan_restore.plan(tree, point).steps:
        if isinstance(step, plan_restore.Create):
            target.create(tree.nodes[step.node])
        elif isinstance(step, plan_restore.Revert):
            target.revert(step.node)
        elif isinstance(step, plan_restore.Configure):
            target.configure(tree.nodes[step.node])
        elif isinstance(step, plan_restore.Write):
            _apply(target, step, tree, found[step.segment.name])
        elif isinstance(step, plan_restore.TakeSnapshot):
            target.take_snapshot(step.node, step.name, step.description)
        else:
            target.remove_helper(step.node)
    target.finish()
    return len(nodes)


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as source:
            header: dict[str, Any] = reader.SegmentReader(source).header
            return header
    except (OSError, stream_errors.SegmentError) as error:
        raise errors.RestoreError(
            f"{path} cannot be read: {error}", id="segment-file-unreadable"
        ) from error


def _bases_first(tree: model.BlockTree) -> list[model.Node]:
    order: list[model.Node] = []
    left = sorted(tree.nodes.values(), key=lambda node: (node.created, node.id))
    while left:
        done = {node.id for node in order}
        ready = [node for node in left if node.base is None or node.base in done]
        if not ready:
            missing = sorted({node.base or "" for node in left} - set(tree.nodes))
            raise errors.RestoreError(
                f"Segments are missing: nothing of node {', '.join(missing)}, which others build on",
                todo="Extract the files of every job since the last full",
                id="segments-missing",
            )
        order.append(ready[0])
        left.remove(ready[0])
    return order


def _apply(
    target: Qcow2Directory, write: plan_restore.Write, tree: model.BlockTree, path: Path
) -> None:
    segment = write.segment
    disk = tree.nodes[segment.node].disk(segment.disk)
    assert disk is not None
    plan = {
        "target": target.endpoint(disk),
        "capacity": segment.capacity,
        "expect": {"capacity": segment.capacity},
        "drop_zeros": write.fresh,
    }
    try:
        with client.Mover.write(plan) as mover:
            with path.open("rb") as source:
                mover.feed(source)
            mover.finish(_TIMEOUT)
    except (client.MoverError, OSError) as error:
        raise errors.RestoreError(
            f"{path} cannot be applied: {error}", id="segment-not-restored"
        ) from error
