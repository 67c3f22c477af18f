# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The header of a segment, complete, as every segment of a backup has one."""

from __future__ import annotations

from dataclasses import replace

from bareos_vmsnap.tree.segment_header import (
    SNAPSHOT,
    Disk,
    Node,
    Segment,
    SegmentHeader,
    SegmentIdentity,
    Vm,
)

_VM = Vm("web1", "503a0000-0000-0000-0000-000000000001", "vm-1", "dc1", "/web", "esx1")
_DISK = Disk(
    2000, "scsi0-0", "Hard disk 1", "[ds] web1/web1.vmdk", "6000C29e", 1 << 30, "52 2d/7", ("b",)
)
_NODE = Node(
    *("n1", SNAPSHOT, "n0", "/@vmsnap/web1/A", (_DISK,), "c1"),
    *(2, 4096, "2026-11-22T14:04:36Z", "snapshot-1", 1),
)
_SEGMENT = Segment(
    *("/@vmsnap/web1/A/scsi0-0.vmseg", "n1", 2000, "n0", "t1", "cbt", "agree", 1 << 30),
    *("52 2d/7", "52 2d/3", 65536),
)
HEADER = SegmentHeader(_VM, _NODE, "A", "before the update", _DISK, _SEGMENT)


def of_capacity(capacity: int) -> SegmentHeader:
    """The header of a segment of a disk with that many bytes."""
    disk, segment = replace(_DISK, capacity=capacity), replace(_SEGMENT, capacity=capacity)
    return replace(HEADER, node=replace(_NODE, disks=(disk,)), disk=disk, segment=segment)


def identity(header: SegmentHeader) -> SegmentIdentity:
    """What a restore of this segment expects."""
    return SegmentIdentity.of(header.vm, header.node, header.disk, header.segment)
