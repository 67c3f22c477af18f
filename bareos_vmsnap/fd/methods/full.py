# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The whole disk is sent, without a base."""

from __future__ import annotations

from bareos_vmsnap.fd.methods import in_use
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.method_ladder import Rung


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """The mover leaves out what nobody calls in use, as zeros. Raises errors.Canceled."""
    rung, extents, _ = in_use.find(edge, rung)
    return Reading(rung, extents, edge.disk.capacity)
