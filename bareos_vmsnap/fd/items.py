# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The items that a backup job offers to Bareos, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Union

from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.tree import method_ladder, segment_header


@dataclass(frozen=True)
class SegmentFile:
    """A segment: its data comes from a mover started with `plan` and `extents`.

    `size` is the expected size of the virtual file in bytes. `reads` are the disks the data comes
    from, each with the moref of its snapshot.
    """

    segment: segment_header.Segment
    rung: method_ladder.Rung
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
    """A small file with its content in memory."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class RestoreObject:
    """A piece of the manifest, which Bareos passes to the next job and to a restore."""

    name: str
    index: int
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Expected:
    """A file that an estimate lists; it has no data."""

    name: str
    size: int


Item = Union[SegmentFile, ContentFile, RestoreObject, Expected]
