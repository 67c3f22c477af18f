# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The VM that an admin wants a restore to create."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Destination:
    """What the admin requested; None means as it was at the backup. `powerstate` is on or off.

    `change_tracking` is whether the VM's own state tracked changes, `old_host` the host it was on.
    """

    name: str
    dc: str
    folder: str
    old_host: str
    change_tracking: bool
    datastore: Optional[str] = None
    host: Optional[str] = None
    cluster: Optional[str] = None
    resourcepool: Optional[str] = None
    powerstate: str = "off"
    poweron_timeout: float = 15
