# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs over nbdkit's real vddk plugin and the lab's stand-in for VMware's library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bareos_vmsnap.lab.vddk import plugin

from .hardware import MIB
from .pictures import draw
from .roundtrip import round_trip
from .site import Site

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose jobs go through VDDK; no job leaves a disk open or a process behind."""
    made = Site(tmp_path, vddk=True)
    yield made
    try:
        assert made.remains() == []
        assert made.lab.vddk.open_disks == []
    finally:
        made.close()


def test_a_forked_tree_comes_back(site: Site) -> None:
    machine = site.create(disks=[MIB, 70 * 1024])
    draw(machine, "A\n  B\n    C\n  D *\n", hardware=True)
    round_trip(site, machine)
