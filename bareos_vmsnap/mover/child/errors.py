# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Why the mover fails. The id goes into its report."""

from __future__ import annotations

from bareos_vmsnap.errors import VmsnapError


class MoverChildError(VmsnapError):
    """Base of the failures that the mover's own process finds."""


class PlanError(MoverChildError):
    """The plan is incomplete or contradicts itself."""

    id = "mover-plan"


class NbdError(MoverChildError):
    """An NBD server refused, failed or went away; the id is that of the reason, if known."""

    id = "nbd-failed"


class CapacityError(MoverChildError):
    """A disk does not have the expected size."""

    id = "capacity-differs"


class WrongSegmentError(MoverChildError):
    """The segment is sound, but not the expected one."""

    id = "wrong-segment"


class ReadbackError(MoverChildError):
    """The target does not give back what was written to it."""

    id = "readback-differs"


class ReaderGoneError(MoverChildError):
    """Nobody reads the segment any longer."""

    id = "reader-gone"


class AccountingError(MoverChildError):
    """The mover did not move what was planned: a bug in this program."""

    id = "mover-accounting"
