# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Steps of a cleanup: what fails is reported, and keeps no other step from being done."""

from __future__ import annotations

from typing import Callable

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import faults


def undo(warn: errors.Warn, what: str, step: Callable[[], object]) -> None:
    """Do one step; `warn` gets its failure, `what` begins the message. Never raises."""
    try:
        step()
    except Exception as failure:  # noqa: BLE001 - the job log gets it
        error = faults.translated(failure)
        warn("cleanup-failed", f"{what} failed: {error}", *errors.ids(error))
