# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Explains VDDK's messages about PrepareForAccess and EndAccess to an admin (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.transport.endpoint import Explanation
from bareos_vmsnap.transport.vddk import diagnosis

# vCenter's fault, by its names in VMware's guide and in the API.
_ALREADY = re.compile(r"method_?already_?disabled|already (been )?(disabled|deactivated)", re.I)
_PRIVILEGE = re.compile(
    r"insufficient permission|permission (to perform|.*denied)|NoPermission|not authorized"
    r"|not have (access )?(rights|permission)|access denied",
    re.I,
)
_LOGIN = re.compile(r"InvalidLogin|Login failure|incorrect user ?name or password", re.I)


def already_disabled(lines: Sequence[str]) -> bool:
    """Whether vCenter refused because migrating the VM is already disabled."""
    return any(map(_ALREADY.search, lines))


def explain(lines: Sequence[str], disk: VddkDisk) -> Optional[Explanation]:
    """The cause, with what to do about it; None if there is no known one.

    `lines` are VDDK's messages from the call's beginning to its end, with the error's text.
    """
    if any(map(_PRIVILEGE.search, lines)) and not any(map(_LOGIN.search, lines)):
        return Explanation(
            "relocation-privilege",
            f"{disk.user} lacks a privilege (Global.DisableMethods, Global.EnableMethods and "
            "Global.Licenses are needed on the VM, see docs/installation.md)",
        )
    return diagnosis.explain("\n".join(f"error: {line}" for line in lines), disk)
