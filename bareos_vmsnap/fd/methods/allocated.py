# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A root: the areas in use, by CBT and by the server's allocation map.

Neither can hide data alone: what either of them calls in use is sent. CBT may legally answer "the
whole disk", which says nothing; then only the allocation map counts.
"""

from __future__ import annotations

from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.ladder import Rung
from bareos_vmsnap.vsphere import cbt


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """The mover unites what is found here with the allocation map. Raises errors.Canceled."""
    disk = edge.disk
    if disk.change_id is None:
        return Reading(rung, (), disk.capacity)
    try:
        areas = edge.reader.changed_areas(edge.task.snapshot, disk, cbt.STAR)
    except cbt.CbtRefusedError as error:
        note = f"{rung.reason}; CBT does not tell the areas in use ({error.what})"
        return Reading(Rung(rung.method, note), (), disk.capacity)
    if areas.covers(disk.capacity):
        note = f"{rung.reason}; CBT calls the whole disk in use"
        return Reading(Rung(rung.method, note), (), disk.capacity)
    return Reading(rung, areas, areas.total)
