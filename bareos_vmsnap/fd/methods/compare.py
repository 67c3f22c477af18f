# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Both disks are read and what differs is sent."""

from __future__ import annotations

from bareos_vmsnap.fd.methods import in_use
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.method_ladder import Rung


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """The mover compares what is in use in either disk. Raises errors.Canceled.

    What is in use in the base is so in the snapshot, too, which builds on it.
    """
    rung, extents, _ = in_use.find(edge, rung)
    return Reading(rung, extents, edge.disk.capacity, base=edge.describe_base())
