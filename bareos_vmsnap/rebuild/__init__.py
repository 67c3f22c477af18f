# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From segment files alone back to disks: no catalog, no vCenter, no manifest needed."""

from bareos_vmsnap.rebuild.disks import rebuild
from bareos_vmsnap.rebuild.segments import tree_of

__all__ = ["rebuild", "tree_of"]
