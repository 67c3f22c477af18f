# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The whole disk is sent, and builds on nothing."""

from __future__ import annotations

from bareos_vmsnap.fd.methods.edge import Edge, Found
from bareos_vmsnap.tree.ladder import Rung


def find(edge: Edge, rung: Rung) -> Found:
    """The mover leaves out what its server calls a hole."""
    return Found(rung, (), edge.disk.capacity)
