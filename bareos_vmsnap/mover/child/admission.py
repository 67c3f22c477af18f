# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Waits until the servers of a plan's disks may have another connection."""

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
        # A scope that two disks have in common is one, with room for both.
        self.wanted = Counter(limit for disk in disks for limit in disk.limits)

    def another(self) -> bool:
        """Whether one more connection to each disk is free now; then it is taken."""
        return self._held.take_more(self.wanted)


@contextmanager
def admitted(disks: Sequence[DiskDescription], reporter: Reporter) -> Iterator[Admission]:
    """Wait for one connection to each of the disks, together; keep them while the context lasts.

    What is waited for, and how long it took, is reported. Raises PlanError, OSError.
    """
    held = slots.Slots()
    admission = Admission(disks, held)
    begun = time.monotonic()
    waited = False

    def waiting(scope: ConnectionLimit) -> None:
        nonlocal waited
        waited = True
        reporter.queued(scope.name)

    held.take(admission.wanted, waiting)
    if waited:
        reporter.admitted(time.monotonic() - begun)
    try:
        yield admission
    finally:
        held.release()
