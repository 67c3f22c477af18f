# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM whose first segment takes a while."""

from __future__ import annotations

import random

from .hardware import MIB
from .machine import Machine
from .site import Site

# More than all pipes and requests on the way hold, so that a reader that waits stops the mover.
SIZE = 20 * MIB


def make_vm(site: Site) -> Machine:
    """Two snapshots; the disk is full of what cannot be compressed at the first."""
    machine = site.create(disks=[SIZE])
    machine.guest.write(2000, 0, random.Random(1).randbytes(SIZE))
    machine.snapshot("A")
    machine.scribble("b")
    machine.snapshot("B")
    machine.scribble("now")
    return machine
