# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Planning a restore: the steps that rebuild one time point's tree, in the order data arrives.

Segments can only be written into the leaf, and a snapshot freezes the leaf. So the plan walks the
nodes, keeps track of where the leaf is, and reverts to a fork before its next branch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional, Union

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.tree import model, segment_header

ORIGIN = ""  # the VM as just created, before any node's content was written


class Snapshots(enum.Enum):
    """Which snapshots a restore brings back: the values of the option restore_snapshots."""

    TREE = "tree"
    NONE = "none"


class RestorePlanError(VmsnapError):
    """The block tree does not hold what the restore needs; the message says what is missing."""

    id = "manifest-lacks-segments"


@dataclass(frozen=True)
class Create:
    """Create the VM with this node's configuration, its disks new and empty."""

    node: str


@dataclass(frozen=True)
class Revert:
    """Bring the leaf back to a snapshot taken earlier in this plan (a node, or ORIGIN)."""

    node: str


@dataclass(frozen=True)
class Configure:
    """Bring the VM to this node's configuration: CPU, memory, devices, disks added and removed."""

    node: str


@dataclass(frozen=True)
class Write:
    """Apply one segment to the leaf. `fresh` means that the disk is new and reads as zeros."""

    segment: segment_header.Segment
    fresh: bool


@dataclass(frozen=True)
class TakeSnapshot:
    """Freeze the leaf as this node. A helper stands in for a fork without a snapshot of its own."""

    node: str
    name: str
    description: str
    helper: bool = False


@dataclass(frozen=True)
class RemoveHelper:
    """Remove a helper snapshot; its content merges into what is built upon it."""

    node: str


Step = Union[Create, Revert, Configure, Write, TakeSnapshot, RemoveHelper]


@dataclass(frozen=True)
class RestorePlan:
    """All steps in order, and what they bring back."""

    point: model.TimePoint
    steps: tuple[Step, ...]

    @property
    def segments(self) -> tuple[segment_header.Segment, ...]:
        """The segments needed, in the order they are written."""
        return tuple(step.segment for step in self.steps if isinstance(step, Write))


def plan(
    tree: model.BlockTree, point: model.TimePoint, snapshots: Snapshots = Snapshots.TREE
) -> RestorePlan:
    """Plan the restore of a time point: its whole tree, or only the VM's state.

    Raises RestorePlanError if nodes or segments are missing from the block tree.
    """
    live = {s.node: s for s in point.snapshots} if snapshots is Snapshots.TREE else {}
    try:
        needed = tree.with_bases((*live, point.state))
    except LookupError as error:
        raise RestorePlanError(str(error)) from error
    # A node is saved after its base, and nodes are kept in the order they were saved.
    order = [node for node in tree.nodes.values() if node.id in needed and node.id != point.state]
    order.append(tree.nodes[point.state])
    _check_segments(tree, order)
    steps = _Walk(tree, point, live, order).steps
    return RestorePlan(point, tuple(steps))


def _check_segments(tree: model.BlockTree, nodes: list[segment_header.Node]) -> None:
    by_node = tree.segments_by_node()
    for node in nodes:
        saved = {segment.disk for segment in by_node.get(node.id, [])}
        missing = [disk.slot for disk in node.disks if disk.key not in saved]
        if missing:
            raise RestorePlanError(
                f"node {node.directory} has no segment for disk {', '.join(missing)} "
                "in the manifest"
            )


class _Walk:
    """Keeps track of where the leaf is while the steps are laid out."""

    def __init__(
        self,
        tree: model.BlockTree,
        point: model.TimePoint,
        live: dict[str, model.LiveSnapshot],
        order: list[segment_header.Node],
    ) -> None:
        self._tree = tree
        self._segments = tree.segments_by_node()
        self._live = live
        self._helpers = _forks(order, live)
        self.steps: list[Step] = [Create(order[0].id)]
        if ORIGIN in self._helpers:
            self._snapshot_helper(ORIGIN)
        at = ORIGIN
        for node in order:
            base = node.base if node.base is not None else ORIGIN
            if at != base:
                self.steps.append(Revert(base))
            self._write(node)
            self._freeze(node)
            at = node.id
        for helper in reversed(self._helpers):
            self.steps.append(RemoveHelper(helper))

    def _write(self, node: segment_header.Node) -> None:
        base = self._tree.nodes[node.base] if node.base is not None else None
        self.steps.append(Configure(node.id))
        for segment in self._segments.get(node.id, []):
            disk = node.disk(segment.disk)
            under = base.disk(segment.disk) if base else None
            fresh = disk is None or under is None or under.identity != disk.identity
            self.steps.append(Write(segment, fresh))

    def _freeze(self, node: segment_header.Node) -> None:
        if node.id in self._live:
            live = self._live[node.id]
            self.steps.append(TakeSnapshot(node.id, live.name, live.description))
        elif node.id in self._helpers:
            self._snapshot_helper(node.id)

    def _snapshot_helper(self, node: str) -> None:
        name = "vmsnap helper, removed when the restore ends"
        self.steps.append(TakeSnapshot(node, name, "", helper=True))


def _forks(order: list[segment_header.Node], live: dict[str, model.LiveSnapshot]) -> list[str]:
    """Nodes without a snapshot of their own that the leaf must return to, in order."""
    needed: list[str] = []
    at: Optional[str] = ORIGIN
    for node in order:
        base = node.base if node.base is not None else ORIGIN
        if at != base and base not in live and base not in needed:
            needed.append(base)
        at = node.id
    position = {node.id: n for n, node in enumerate(order)}
    return sorted(needed, key=lambda node: position.get(node, -1))
