# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waits until the servers of a plan's disks may take another connection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bareos_vmsnap.mover.child import slots
from bareos_vmsnap.mover.child.reporter import Reporter
from bareos_vmsnap.transport.disks import ConnectionLimit, DiskDescription


class Admission:
    """Holds the slots of one connection to each of the disks."""

    def __init__(self, disks: Sequence[DiskDescription], held: slots.Slots) -> None:
        self._held = held
        # A scope that two disks share must have room for both.
        self.counts = Counter(limit for disk in disks for limit in disk.limits)

    def another(self) -> bool:
        """Take one more connection to each disk, if they are free now; return whether they were."""
        return self._held.take_more(self.counts)


@contextmanager
def admitted(disks: Sequence[DiskDescription], reporter: Reporter) -> Iterator[Admission]:
    """Wait for one connection to each of the disks, together; hold them while the context lasts.

    Reports what it waits for, and how long that took. Raises PlanError, OSError.
    """
    held = slots.Slots()
    admission = Admission(disks, held)
    begun = time.monotonic()
    waited_for = ""

    def waiting(scope: ConnectionLimit) -> None:
        nonlocal waited_for
        waited_for = scope.name
        reporter.queued(scope.name)

    held.take(admission.counts, waiting)
    if waited_for:
        reporter.admitted(waited_for, time.monotonic() - begun)
    try:
        yield admission
    finally:
        held.release()
