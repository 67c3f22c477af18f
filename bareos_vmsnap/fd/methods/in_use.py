# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What may hold data on a disk, besides what its allocation map calls allocated.

Where nothing of a base can be taken, both are asked: what either of them calls in use is read, so
that neither can hide data alone.
"""

from __future__ import annotations

from bareos_vmsnap.fd.methods.edge import DiskEdge, Extents
from bareos_vmsnap.tree.method_ladder import Rung
from bareos_vmsnap.vsphere import cbt


def find(edge: DiskEdge, rung: Rung) -> tuple[Rung, Extents, int]:
    """The rung, with what is to be said of this; extents; an upper bound of the bytes to read.

    CBT may legally answer "the whole disk", which says nothing; then only the allocation map
    counts. All is read if neither may be believed. Raises errors.Canceled.
    """
    disk = edge.disk
    whole = edge.task.whole or ("read_all=yes" if edge.reader.options.read_all else "")
    if whole:
        return (
            _noted(rung, f"all of the disk is read: {whole}"),
            ((0, disk.capacity),),
            disk.capacity,
        )
    if disk.change_id is None:
        return rung, (), disk.capacity
    try:
        areas = edge.reader.changed_areas(edge.task.snapshot, disk, cbt.STAR)
    except cbt.CbtRefusedError as error:
        note = f"CBT does not tell the areas in use ({error.what})"
        return _noted(rung, note), (), disk.capacity
    if areas.covers(disk.capacity):
        return _noted(rung, "CBT calls the whole disk in use"), (), disk.capacity
    return rung, areas, areas.total


def _noted(rung: Rung, note: str) -> Rung:
    return Rung(rung.method, f"{rung.reason}; {note}")
