# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The plan of the process (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from bareos_vmsnap.transport.disks import VddkDisk


@dataclass(frozen=True)
class BlockPlan:
    """`vm` has the VM's server and login. `disabled`: vCenter reports that migrating the VM is
    already disabled. `lock` is this VM's lock file. With `probe`, only the library is checked.
    """

    vm: VddkDisk
    disabled: bool = False
    lock: str = ""
    probe: bool = False
