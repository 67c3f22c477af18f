# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Full backup, VM destroyed, restore: the tree is the same in every node and byte."""

from __future__ import annotations

import pytest

from .pictures import draw
from .roundtrip import round_trip
from .site import Site

MIDDLE = """
    A
      B *
        C
        D
      E
"""
# What remains when a root with children is deleted: several roots.
ROOTS = """
    (A)
      B
        C
      D *
"""
# The VM stands directly on what was the deleted root: at no snapshot.
NOWHERE = """
    (A) *
      B
      C
"""
# Inner snapshots deleted, at a fork and without one.
HOLES = """
    A
      (B)
        C
          (D)
            E
        F *
      G
"""


@pytest.mark.parametrize(
    "picture",
    ["", MIDDLE, ROOTS, NOWHERE, HOLES],
    ids=["none", "middle", "roots", "nowhere", "holes"],
)
def test_the_tree_comes_back(site: Site, picture: str) -> None:
    machine = site.create(disks=[(1 << 20) + 512])
    draw(machine, picture)
    round_trip(site, machine)
    assert site.vm_names() == ["web1"]
