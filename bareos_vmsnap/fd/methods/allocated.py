# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A root: the areas in use, by CBT and by the server's allocation map."""

from __future__ import annotations

from bareos_vmsnap.fd.methods import in_use
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.method_ladder import Rung


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """The mover unites what is found here with the allocation map. Raises errors.Canceled."""
    return Reading(*in_use.find(edge, rung))
