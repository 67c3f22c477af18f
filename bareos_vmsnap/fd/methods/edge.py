# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A method's input, one disk at one node and the one below it, and what the method finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Optional

from bareos_vmsnap.fd.methods.disk_reader import DiskReader
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.transport.disks import DiskDescription
from bareos_vmsnap.tree import plan_backup
from bareos_vmsnap.tree.method_ladder import Rung
from bareos_vmsnap.tree.segment_header import Disk, SegmentHeader

Extents = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Reading:
    """What a mover is to read, as far as a method decides that.

    `extents` are sorted (start, length) in bytes, `changed` is an upper bound of
    their bytes; `base` is read too and compared; `link` is asked for what it holds.
    """

    rung: Rung
    extents: Extents
    changed: int
    base: Optional[DiskDescription] = None
    link: Optional[DiskDescription] = None


@dataclass(frozen=True)
class DiskEdge:
    """A planned segment and the means to examine its disk. `header`: the segment's, so far."""

    task: plan_backup.Task
    header: SegmentHeader
    reader: DiskReader

    @property
    def disk(self) -> Disk:
        """The disk at the node."""
        return self.task.disk

    @property
    def base(self) -> Optional[tuple[str, Disk]]:
        """Moref and disk of the base's snapshot; None if it cannot be read any more."""
        if self.task.base_snapshot is None or self.task.base_disk is None:
            return None
        return self.task.base_snapshot, self.task.base_disk

    def describe_base(self) -> DiskDescription:
        """The base's disk, which must be readable."""
        assert self.base is not None
        return self.reader.describe(*self.base)

    def plan(self, found: Reading) -> ReadPlan:
        """The plan of the mover that reads the segment."""
        plan = self.reader.plan(self.task.snapshot, self.disk, self.header, found.rung.method)
        return replace(plan, base=found.base, link=found.link)
