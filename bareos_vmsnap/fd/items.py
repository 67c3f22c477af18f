# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a backup job offers to Bareos, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Union

from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.tree import ladder, segment_header


@dataclass(frozen=True)
class SegmentFile:
    """A segment: its data comes from a mover started with `plan` and `extents`.

    `size` is what the virtual file is expected to have, in bytes. `reads` are the disks the data
    comes from, by the morefs of their snapshots.
    """

    segment: segment_header.Segment
    rung: ladder.Rung
    plan: ReadPlan
    extents: Iterable[tuple[int, int]]
    changed: int
    size: int
    reads: tuple[tuple[str, segment_header.Disk], ...] = ()

    @property
    def name(self) -> str:
        """The virtual file's name."""
        return self.segment.name


@dataclass(frozen=True)
class ContentFile:
    """A small file whose content is at hand."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class RestoreObject:
    """A piece of the manifest, handed by Bareos to the next job and to a restore."""

    name: str
    index: int
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Expected:
    """A file an estimate tells of; it has no data."""

    name: str
    size: int


Item = Union[SegmentFile, ContentFile, RestoreObject, Expected]
