# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Both disks are read, and what differs is sent."""

from __future__ import annotations

from bareos_vmsnap.fd.methods.edge import Edge, Found
from bareos_vmsnap.tree.ladder import Rung


def find(edge: Edge, rung: Rung) -> Found:
    """The mover compares what any of the two disks has allocated."""
    return Found(rung, (), edge.disk.capacity, base=edge.describe_base())
