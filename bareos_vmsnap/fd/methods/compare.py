# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Both disks are read and what differs is sent."""

from __future__ import annotations

from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.ladder import Rung


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """The mover compares what either disk has allocated."""
    return Reading(rung, (), edge.disk.capacity, base=edge.describe_base())
