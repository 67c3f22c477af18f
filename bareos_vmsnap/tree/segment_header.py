# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The JSON header of every segment file, which describes the segment.

These classes are a file format, described in docs/format.md and read by other programs: adding,
removing or renaming a field changes what is written to volumes. The manifest holds them too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from bareos_vmsnap import dataclass_json

SNAPSHOT = "snapshot"
STATE = "state"


@dataclass(frozen=True)
class Vm:
    """The VM a block tree belongs to. `instance_uuid` is its identity across jobs.

    The rest is where it was at the backup: `dc` and `folder` as in the options of that name.
    """

    name: str
    instance_uuid: str
    moref: str
    dc: str = ""
    folder: str = "/"
    host: str = ""


@dataclass(frozen=True)
class Disk:
    """A virtual disk as one node sees it.

    `path` is the file the node's content ends in, `chain` the files below it, nearest first;
    `slot` is where it is plugged in ("scsi0-0"), `capacity` its size in bytes.
    """

    key: int
    slot: str
    label: str
    path: str
    uuid: str
    capacity: int
    change_id: Optional[str] = None
    chain: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for two nodes' disks only if they are one virtual disk, not just in one slot."""
        return f"{self.key}/{self.uuid}"


@dataclass(frozen=True)
class Node:
    """A state of the VM in the tree: a user snapshot, or the state at a backup.

    `base` is the node this one is rebuilt upon, None for a root. `directory` is where its segments
    lie, below the VM's directory. `config` names an entry of `BlockTree.configs`.
    """

    id: str
    kind: str
    base: Optional[str]
    directory: str
    disks: tuple[Disk, ...]
    config: str
    cpus: int
    memory_mb: int
    created: str
    moref: str
    snapshot_id: Optional[int] = None
    power_state: str = "poweredOff"
    quiesced: bool = False
    change_tracking: bool = False

    def disk(self, key: int) -> Optional[Disk]:
        """The disk with that device key, or None."""
        return next((disk for disk in self.disks if disk.key == key), None)


@dataclass(frozen=True)
class Segment:
    """The delta of one disk at one node.

    `base` is the node whose content the delta must be applied to, or None if the segment holds
    the disk's whole content. Sizes are in bytes: `changed` as found by `method`, `data` and `zero`
    as sent (raw), `size` of the whole virtual file. `digest` is the container's. `method`
    is one of method_names, but a newer version may know more.
    """

    name: str
    node: str
    disk: int
    base: Optional[str]
    timepoint: str
    method: str
    reason: str
    capacity: int
    change_id: Optional[str] = None
    base_change_id: Optional[str] = None
    changed: int = 0
    data: int = 0
    zero: int = 0
    size: int = 0
    digest: str = ""


@dataclass(frozen=True)
class SegmentIdentity:
    """What tells a segment from all others: a restore compares it with the header."""

    instance_uuid: str
    node: str
    node_kind: str
    node_base: Optional[str]
    disk: int
    disk_uuid: str
    disk_capacity: int
    name: str
    base: Optional[str]
    timepoint: str
    capacity: int

    @classmethod
    def of(cls, vm: Vm, node: Node, disk: Disk, segment: Segment) -> SegmentIdentity:
        """The identity of a segment of this disk at this node."""
        return cls(
            instance_uuid=vm.instance_uuid,
            node=node.id,
            node_kind=node.kind,
            node_base=node.base,
            disk=disk.key,
            disk_uuid=disk.uuid,
            disk_capacity=disk.capacity,
            name=segment.name,
            base=segment.base,
            timepoint=segment.timepoint,
            capacity=segment.capacity,
        )

    def to_json(self) -> dict[str, Any]:
        """What must be in the header in a segment file, which holds more."""
        return {
            "capacity": self.capacity,
            "vm": {"instance_uuid": self.instance_uuid},
            "node": {"id": self.node, "kind": self.node_kind, "base": self.node_base},
            "disk": {"key": self.disk, "uuid": self.disk_uuid, "capacity": self.disk_capacity},
            "segment": {
                "name": self.name,
                "node": self.node,
                "disk": self.disk,
                "base": self.base,
                "timepoint": self.timepoint,
            },
        }


@dataclass(frozen=True)
class SegmentHeader:
    """All that a rebuild needs to know about a segment; `name` and `description` are the
    snapshot's, empty for the VM's own state.
    """

    vm: Vm
    node: Node
    name: str
    description: str
    disk: Disk
    segment: Segment

    def to_json(self) -> dict[str, Any]:
        """The header as in a segment file, without what the container adds (capacity, chunk)."""
        shown = {"name": self.name, "description": self.description}
        return {
            "vm": dataclass_json.encode(self.vm),
            "node": {**dataclass_json.encode(dataclasses.replace(self.node, disks=())), **shown},
            "disk": dataclass_json.encode(self.disk),
            "segment": dataclass_json.encode(self.segment),
        }

    @classmethod
    def from_json(cls, header: Mapping[str, Any]) -> SegmentHeader:
        """Parse a header. Raises dataclass_json.MismatchError."""
        parts = {key: header.get(key) for key in ("vm", "node", "disk", "segment")}
        node: Any = parts["node"]
        return cls(
            dataclass_json.decode(Vm, parts["vm"], "vm"),
            dataclass_json.decode(Node, node, "node"),
            dataclass_json.decode(str, node.get("name", ""), "node.name"),
            dataclass_json.decode(str, node.get("description", ""), "node.description"),
            dataclass_json.decode(Disk, parts["disk"], "disk"),
            dataclass_json.decode(Segment, parts["segment"], "segment"),
        )
