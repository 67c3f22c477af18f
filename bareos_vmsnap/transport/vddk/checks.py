# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Checks a description for what VDDK would refuse, or mishandle."""

from __future__ import annotations

import re

from bareos_vmsnap.transport.disks import MODES, VddkDisk, writing_modes
from bareos_vmsnap.transport.endpoint import TransportError

# "file" is also a mode of VDDK, for disks of this machine.
_KNOWN_MODES = {*MODES, "file"}


def check(disk: VddkDisk, *, writable: bool) -> None:
    """Raise TransportError if it is not right; messages hold no secret.

    A disk of a snapshot, or a single link, is never opened for writing.
    """
    if not disk.password or re.search(r"[\r\n\0]", disk.password):
        raise TransportError("transport vddk: the password is empty or has a line break in it")
    if not re.fullmatch(r"([0-9A-Fa-f]{2}:?){20}", disk.thumbprint):
        raise TransportError("transport vddk: thumbprint is no SHA-1 digest")
    if not set(disk.transports.split(":")) <= _KNOWN_MODES:
        raise TransportError(f"transport vddk: {disk.transports} has a mode VDDK does not know")
    if writable:
        if disk.snapshot or disk.single_link:
            raise TransportError(f"transport vddk: {disk.path} of a snapshot is not for writing")
        if writing_modes(disk.transports) != disk.transports:
            raise TransportError("transport vddk: SAN cannot write a VM with snapshots")
