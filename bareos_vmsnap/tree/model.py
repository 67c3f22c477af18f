# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The block tree: nodes, segments and the time point that needs them.

These classes are the manifest's format: it is their JSON (tree/manifest.py, docs/format.md), so a
field that is renamed, added or removed changes what is on volumes.

Nodes and segments never change once saved. What may change from job to job (a snapshot's name, its
parent after a deletion in the middle) belongs to the time point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from bareos_vmsnap.tree.segment_header import Node, Segment, Vm


@dataclass(frozen=True)
class LiveSnapshot:
    """A user snapshot as it was at one time point."""

    node: str
    parent: Optional[str]
    name: str
    description: str


@dataclass(frozen=True)
class NvramFile:
    """The virtual file with the VM's NVRAM, and the SHA-256 of its content (hexadecimal digits)."""

    name: str
    sha256: str


@dataclass(frozen=True)
class TimePoint:
    """The VM at one backup, with the snapshots it had, in VMware's order, parents first.

    `state` is the node of the VM's own state, `current` the node of VMware's current snapshot (None
    if there is none). `nvram` is None if the VM had none; `event_chain` is the event chain, in
    vSphere's event history, of the task that took the backup snapshot, and `server` the instance UUID
    of that vCenter. `marker` is what the job wrote into the VM's configuration before, or None
    if it left none that proves anything: `without_marker` says why, see lineage. `previous` is the
    time point that the job built upon, `ancestors` are that one and all before it, nearest first,
    back to the last full work.
    """

    id: str
    job: str
    jobid: int
    level: str
    taken: str
    state: str
    current: Optional[str]
    snapshots: tuple[LiveSnapshot, ...]
    power_state: str = "poweredOff"
    nvram: Optional[NvramFile] = None
    event_chain: Optional[int] = None
    previous: Optional[str] = None
    server: Optional[str] = None
    marker: Optional[str] = None
    without_marker: Optional[str] = None
    ancestors: tuple[str, ...] = ()


@dataclass
class BlockTree:
    """The nodes and segments that one time point of a VM needs.

    A tree built from segments alone has no time point. `directory` is the VM's virtual directory in
    Bareos; the names of segments begin with it. `late_tracking` are, by the identity of a disk, the
    UUIDs of its change ids of which tracking is known to have begun while a snapshot existed.
    """

    vm: Vm
    directory: str
    nodes: dict[str, Node] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    timepoint: Optional[TimePoint] = None
    configs: dict[str, Any] = field(default_factory=dict)
    late_tracking: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def point(self) -> TimePoint:
        """The time point. Raises LookupError if there is none."""
        if self.timepoint is None:
            raise LookupError(f"the block tree of {self.vm.name} holds no time point")
        return self.timepoint

    def lineage(self, node: str) -> list[str]:
        """The node and its bases, nearest first. Raises LookupError if the tree lacks a base."""
        line: dict[str, None] = {}
        at: Optional[str] = node
        while at is not None:
            if at in line or at not in self.nodes:
                raise LookupError(f"node {at!r}, a base of {node!r}, is not in the block tree")
            line[at] = None
            at = self.nodes[at].base
        return list(line)

    def with_bases(self, nodes: Iterable[str]) -> set[str]:
        """The nodes and all their bases, each looked at once.

        Raises LookupError if the tree lacks one, or if bases form a circle.
        """
        complete: set[str] = set()
        for node in nodes:
            line: dict[str, None] = {}
            at: Optional[str] = node
            while at is not None and at not in complete:
                if at in line or at not in self.nodes:
                    raise LookupError(f"node {at!r}, a base of {node!r}, is not in the block tree")
                line[at] = None
                at = self.nodes[at].base
            complete.update(line)
        return complete

    def segments_by_node(self) -> dict[str, list[Segment]]:
        """The segments of each node that has any, in the order they were saved."""
        found: dict[str, list[Segment]] = {}
        for segment in self.segments.values():
            found.setdefault(segment.node, []).append(segment)
        return found
