# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients can do with a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from vmsnap_lab.vcenter.managed import operation_of
from vmsnap_lab.vcenter.snapshots import remove, rename, revert
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.inventory.compute import HostSystem
    from vmsnap_lab.vcenter.services.call import Call


@operation_of(Snapshot, "RevertToSnapshot_Task")
def revert_to_snapshot(
    snapshot: Snapshot, call: Call, host: Optional[HostSystem], suppress_power_on: Optional[bool]
) -> Any:
    vm = snapshot.vm
    return call.start(
        vm,
        lambda task: revert.revert(vm, snapshot, bool(suppress_power_on), user=call.user),
        exclusive=vm,
    )


@operation_of(Snapshot, "RemoveSnapshot_Task")
def remove_snapshot(
    snapshot: Snapshot, call: Call, with_children: bool, consolidate: Optional[bool]
) -> Any:
    vm = snapshot.vm
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
    rename.rename(snapshot, name, description)
