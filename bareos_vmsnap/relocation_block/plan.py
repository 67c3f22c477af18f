# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the process is to do (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from bareos_vmsnap.transport.disks import VddkDisk


@dataclass(frozen=True)
class BlockPlan:
    """`vm` has the VM's server and login. `disabled`: vCenter says that it does not migrate the VM
    already. `lock` is a file of this VM's. With `probe` only the library is looked at.
    """

    vm: VddkDisk
    disabled: bool = False
    lock: str = ""
    probe: bool = False
