# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking: vSphere reports what changed since the base's change id."""

from __future__ import annotations

from bareos_vmsnap.fd.methods import audit
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.method_ladder import Rung


def find(edge: DiskEdge, rung: Rung) -> Reading:
    """Raises cbt.CbtRefusedError, audit.CbtWrongError, errors.BackupError, errors.Canceled."""
    change_id = edge.task.segment.base_change_id
    assert change_id is not None
    areas = edge.reader.changed_areas(edge.task.snapshot, edge.disk, change_id)
    audit.check(edge, areas)
    return Reading(rung, areas, areas.total)
