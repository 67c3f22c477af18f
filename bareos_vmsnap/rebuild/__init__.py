# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Rebuilds disks from segment files alone: no catalog, vCenter or manifest needed."""

from bareos_vmsnap.rebuild.disks import rebuild
from bareos_vmsnap.rebuild.segments import tree_of

__all__ = ["rebuild", "tree_of"]
