# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plugin options by which a job reaches the disks of a lab."""

from __future__ import annotations

from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import plugin

TRANSPORTS = ("nbd", "vddk")


def to_disks(lab: Lab, transport: str) -> dict[str, str]:
    """The options for one of TRANSPORTS.

    Raises RuntimeError if nbdkit or its vddk plugin is missing.
    """
    if transport == "nbd":
        return {
            "transport": "nbd",
            "nbd_uri": lab.nbd_uri,
            "nbd_link_uri": lab.nbd_link_uri,
        }
    found = plugin.find()
    if found is None:
        raise RuntimeError("nbdkit's vddk plugin is missing: run scripts/setup demo-vddk")
    return {"vddk_libdir": str(lab.vddk.libdir), "vddk_plugin": found}
