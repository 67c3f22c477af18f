# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Renaming a snapshot."""

from __future__ import annotations

from typing import Optional

from pyVmomi import vim

from vmsnap_lab.vcenter.services import task
from vmsnap_lab.vcenter.vm import files
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot


def rename(
    vm: Machine, snapshot: Snapshot, name: Optional[str], description: Optional[str]
) -> None:
    """Raises InvalidName, TaskInProgress."""
    busy = vm.busy
    if busy is not None:
        raise task.in_progress(busy)
    if name is not None:
        check_name(name)
        snapshot.name = name[: vm.vcenter.habits.longest_snapshot_name]
    if description is not None:
        snapshot.description = description
    files.write_snapshot_list(vm)


def check_name(name: str) -> None:
    """Any text is a name; raises InvalidName for an empty one."""
    if not name:
        raise vim.fault.InvalidName(name=name, msg="A snapshot needs a name.")
