# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which transport a disk is opened with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Optional

from vmsnap_lab.vddk.vix_errors import VixError, VixFailure

KNOWN = ("file", "san", "hotadd", "nbdssl", "nbd")
DEFAULT = ":".join(KNOWN)


def requested(modes: Optional[str]) -> tuple[str, ...]:
    """The modes of a list, best first. Raises VixFailure if none is known."""
    found = tuple(mode for mode in (modes or DEFAULT).split(":") if mode in KNOWN)
    if not found:
        raise VixFailure(
            VixError.INVALID_ARG, f"VixDiskLib: None of the transport modes {modes} is known."
        )
    return found


def choose(modes: Collection[str], available: Collection[str], *, writes_snapshots: bool) -> str:
    """The first mode that works here. Raises VixFailure.

    SAN does not write to delta disks: it is chosen all the same, and then fails, as VMware's
    programming guide has it for restores.
    """
    mode = next((mode for mode in modes if mode in available and mode != "file"), None)
    if mode is None:
        raise VixFailure(
            VixError.FILE_ACCESS_ERROR,
            f"VixDiskLib: None of the transport modes {':'.join(modes)} works for this disk.",
        )
    if mode == "san" and writes_snapshots:
        raise VixFailure(
            VixError.NOT_SUPPORTED,
            "VixDiskLib: SAN transport cannot write to a disk with snapshots.",
        )
    return mode
