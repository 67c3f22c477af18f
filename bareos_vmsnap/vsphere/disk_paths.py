# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Did a VM's disks move to other files while a job worked on them?

Storage vMotion moves the files of all snapshots. If it cannot be or was not prevented (see
relocation_block), it is detected by the paths that vSphere reports for the disks before, during and
after the job.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.vsphere import disks

DEVICES = "config.hardware.device"

_RELOCATE = "RelocateVM_Task"
_UNDER_WAY = (vim.TaskInfo.State.running, vim.TaskInfo.State.queued)


class DiskMovedError(errors.VmsnapError):
    """The disks of a VM are in other files than at the start."""

    id = "disk-moved"


class SnapshotDeletedError(errors.VmsnapError):
    """Snapshots that a job works with were deleted."""

    id = "snapshot-deleted"

    def __init__(self, vm: str, names: Iterable[str]) -> None:
        called = [repr(name) for name in names]
        what = f"snapshot{'s' * (len(called) > 1)} {', '.join(called)}"
        super().__init__(
            f"The {what} of VM {vm} {'were' if len(called) > 1 else 'was'} deleted while the job "
            "worked with the VM",
            left="what was read meanwhile, which cannot be trusted",
            todo="Run the job again; keep users and cleanup scripts from deleting snapshots of the "
            "VM while jobs run",
        )


def check(
    name: str, devices: Any, expected: Iterable[segment_header.Disk], *, chains: bool = False
) -> None:
    """Raise DiskMovedError if one of these disks of the VM `name` is in another file now.

    `devices` are the VM's or a snapshot's as they are now (property DEVICES). A disk that is no
    longer among them is not reported here. `chains`: nor may the files below it have changed.
    """
    now = {found.disk.key: found.disk for found in disks.find(devices)}
    for disk in expected:
        found = now.get(disk.key, disk)
        if found.path != disk.path:
            raise moved(name, disk.path, found.path)
        if chains and found.chain != disk.chain:
            raise DiskMovedError(
                f"Files below {disk.path} of VM {name} were merged while the job read them (a "
                "consolidation)",
                left="what was read meanwhile, which cannot be trusted",
                todo="Run the job again; keep consolidations of the VM's disks apart from its jobs",
                id="disk-merged",
            )


def moved(name: str, before: str, now: str) -> DiskMovedError:
    """The error if a disk of the VM `name` that was in one file is in another now."""
    return DiskMovedError(
        f"The disks of VM {name} were moved while the job worked on them (Storage "
        f"vMotion): {before} is now {now}",
        left="what was read or written meanwhile, which cannot be trusted",
        todo="Run the job again; keep Storage DRS away from the VM while jobs run, and "
        "users from deleting its snapshots",
    )


def relocation_disabled(vm: Any) -> bool:
    """Whether vCenter refuses to migrate the VM, for whatever reason."""
    # As names, or as pyVmomi's own methods if it knows the name.
    disabled = (getattr(method, "info", method) for method in vm.disabledMethod)
    return any(getattr(method, "wsdlName", method) == _RELOCATE for method in disabled)


def refuse_moving(vm: Any) -> None:
    """Raise DiskMovedError if the VM is being moved right now."""
    for task in vm.recentTask:
        # vSphere forgets tasks that have ended.
        with contextlib.suppress(vmodl.fault.ManagedObjectNotFound):
            info = task.info
            what = info.descriptionId or info.name or ""
            if "relocate" in what.lower() and info.state in _UNDER_WAY:
                raise DiskMovedError(
                    f"VM {vm.name} is being migrated ({what})",
                    left="nothing, the VM was not touched",
                    todo="Run the job again when the migration has ended",
                    id="vm-migrating",
                )
