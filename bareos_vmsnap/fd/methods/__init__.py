# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The methods that find what belongs in a segment, a file for each.

tree.method_ladder decides which of them may be tried for a disk at a node, and in which order; see
docs/how-it-works.md, "Choosing a base".
"""

from __future__ import annotations

from typing import Callable

from bareos_vmsnap import method_names
from bareos_vmsnap.fd.methods import allocated, cbt, compare, full, link
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.tree.method_ladder import Rung

METHODS: dict[method_names.Method, Callable[[DiskEdge, Rung], Reading]] = {
    method_names.CBT: cbt.find,
    method_names.ALLOCATED: allocated.find,
    method_names.COMPARE: compare.find,
    method_names.LINK: link.find,
    method_names.FULL: full.find,
}

__all__ = ["METHODS", "DiskEdge", "Reading"]
