# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Why the mover fails. `kind` is a stable word for the report."""

from __future__ import annotations


class MoverChildError(Exception):
    """Base of the mover's own failures; messages hold no secret."""

    kind = "mover"


class PlanError(MoverChildError):
    """The plan is incomplete or contradicts itself."""

    kind = "plan"


class NbdError(MoverChildError):
    """An NBD server refused, failed or went away."""

    kind = "nbd"


class CapacityError(MoverChildError):
    """A disk does not have the size that was expected."""

    kind = "capacity"


class WrongSegmentError(MoverChildError):
    """The segment is sound, but not the one that was expected."""

    kind = "wrong-segment"


class ReadbackError(MoverChildError):
    """The target does not give back what was written to it."""

    kind = "readback"


class AccountingError(MoverChildError):
    """The mover did not move what it planned to: a fault in this program."""

    kind = "accounting"
