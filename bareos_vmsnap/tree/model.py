# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The block tree: nodes, segments and the time points over them.

Nodes and segments never change once saved. What may change from job to job (a snapshot's name, its
parent after a deletion in the middle) belongs to the time point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from bareos_vmsnap.tree.segment_header import Node, Segment, Vm


@dataclass(frozen=True)
class LiveSnapshot:
    """A user snapshot as it stood at one time point."""

    node: str
    parent: Optional[str]
    name: str
    description: str


@dataclass(frozen=True)
class TimePoint:
    """The VM at one backup: which snapshots stood, in VMware's order, parents first.

    `state` is the node of the VM's own state, `current` the node VMware calls the current snapshot
    (None when the VM stands at no snapshot). `nvram` names the file with the VM's NVRAM;
    `event_chain` is that of the task that took the backup snapshot, by vSphere's event history.
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
    nvram: Optional[str] = None
    event_chain: Optional[int] = None
    previous: Optional[str] = None

    @property
    def age(self) -> tuple[str, int]:
        """Sorts time points from old to new: two jobs may begin within the same second."""
        return self.taken, self.jobid


@dataclass
class BlockTree:
    """All nodes and segments of a VM known to its backups, and the time points over them.

    `directory` is the VM's virtual directory in Bareos; names of segments begin with it.
    """

    vm: Vm
    directory: str
    nodes: dict[str, Node] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    timepoints: dict[str, TimePoint] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)

    @property
    def newest(self) -> TimePoint:
        """The time point saved last. Raises LookupError when there is none."""
        if not self.timepoints:
            raise LookupError(f"the block tree of {self.vm.name} holds no time point")
        return list(self.timepoints.values())[-1]

    def segments_of(self, node: str) -> list[Segment]:
        """The node's segments, in the order they were saved."""
        return [segment for segment in self.segments.values() if segment.node == node]

    def lineage(self, node: str) -> list[str]:
        """The node and its bases, nearest first. Raises LookupError for a base the tree lacks."""
        line: list[str] = []
        at: Optional[str] = node
        while at is not None:
            if at in line or at not in self.nodes:
                raise LookupError(f"node {at!r}, a base of {node!r}, is not in the block tree")
            line.append(at)
            at = self.nodes[at].base
        return line
