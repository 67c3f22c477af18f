# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients can do with a snapshot."""

from __future__ import annotations

from typing import Any, Optional

from vmsnap_lab.vcenter.inventory.compute import HostSystem
from vmsnap_lab.vcenter.managed import operation_of
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.snapshots import remove, rename, revert
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot
from vmsnap_lab.vcenter.vm.virtual_machine import VirtualMachine


@operation_of(Snapshot, "RevertToSnapshot_Task")
def revert_to_snapshot(
    snapshot: Snapshot, call: Call, host: Optional[HostSystem], suppress_power_on: Optional[bool]
) -> Any:
    vm = _vm_of(snapshot)
    return call.start(
        vm,
        lambda task: revert.revert(vm, snapshot, bool(suppress_power_on), user=call.user),
        exclusive=vm,
    )


@operation_of(Snapshot, "RemoveSnapshot_Task")
def remove_snapshot(
    snapshot: Snapshot, call: Call, with_children: bool, consolidate: Optional[bool]
) -> Any:
    vm = _vm_of(snapshot)
    return call.start(
        vm,
        lambda task: remove.remove(
            vm, snapshot, with_children, consolidate is not False, task.progress
        ),
        exclusive=vm,
    )


@operation_of(Snapshot, "RenameSnapshot")
def rename_snapshot(
    snapshot: Snapshot, call: Call, name: Optional[str], description: Optional[str]
) -> None:
    rename.rename(_vm_of(snapshot), snapshot, name, description)


def _vm_of(snapshot: Snapshot) -> VirtualMachine:
    vm = snapshot.vm
    assert isinstance(vm, VirtualMachine)
    return vm
