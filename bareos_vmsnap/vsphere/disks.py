# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The virtual disks of a configuration: which can be saved, and where they are plugged in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap.tree import segment_header

_BUSES = (
    (vim.vm.device.VirtualSCSIController, "scsi"),
    (vim.vm.device.VirtualAHCIController, "sata"),
    (vim.vm.device.VirtualNVMEController, "nvme"),
    (vim.vm.device.VirtualIDEController, "ide"),
)


@dataclass(frozen=True)
class Found:
    """A virtual disk of a configuration.

    `skipped` is why it is left out of backups (VMware leaves it out of snapshots), `refused` why
    a VM that has it cannot be backed up at all; each is None if there is no such reason.
    """

    disk: segment_header.Disk
    skipped: Optional[str] = None
    refused: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.disk.label} ({self.disk.slot}, {self.disk.path or 'no file'})"


def find(devices: Iterable[Any]) -> list[Found]:
    """All virtual disks among `devices`, in the order of their keys."""
    by_key = {device.key: device for device in devices}
    disks = (d for d in by_key.values() if isinstance(d, vim.vm.device.VirtualDisk))
    return [_examine(disk, by_key) for disk in sorted(disks, key=lambda d: d.key)]


def saved(devices: Iterable[Any]) -> tuple[segment_header.Disk, ...]:
    """The disks a backup saves."""
    return tuple(f.disk for f in find(devices) if f.skipped is None and f.refused is None)


def left_out(devices: Iterable[Any]) -> tuple[str, ...]:
    """The disks that it cannot save, each as a part of a sentence with the reason."""
    reasons = ((found, found.refused or found.skipped) for found in find(devices))
    return tuple(f"{found} is not backed up: {why}" for found, why in reasons if why)


def backing_files(backing: Any) -> Iterator[str]:
    """The files of a disk's backing chain, the topmost first."""
    while backing is not None:
        yield backing.fileName
        backing = getattr(backing, "parent", None)


def _examine(disk: Any, by_key: dict[int, Any]) -> Found:
    backing, controller = disk.backing, by_key.get(disk.controllerKey)
    files = list(backing_files(backing)) if hasattr(backing, "fileName") else [""]
    described = segment_header.Disk(
        key=disk.key,
        slot=_slot(disk, controller),
        label=disk.deviceInfo.label if disk.deviceInfo else f"disk {disk.key}",
        path=files[0],
        uuid=getattr(backing, "uuid", None) or "",
        capacity=disk.capacityInBytes or disk.capacityInKB * 1024,
        change_id=getattr(backing, "changeId", None),
        chain=tuple(files[1:]),
    )
    return Found(described, _skip(backing), _refuse(backing, controller))


def _slot(disk: Any, controller: Any) -> str:
    for kind, prefix in _BUSES:
        if isinstance(controller, kind):
            return f"{prefix}{controller.busNumber}-{disk.unitNumber}"
    return f"disk{disk.key}"


def _skip(backing: Any) -> Optional[str]:
    if str(getattr(backing, "diskMode", "")).startswith("independent"):
        return f"it is independent ({backing.diskMode}), snapshots leave it out"
    return None


def _refuse(backing: Any, controller: Any) -> Optional[str]:
    if getattr(backing, "compatibilityMode", None) == "physicalMode":
        return "it is a raw device mapping in physical mode"
    if not hasattr(backing, "fileName") or isinstance(
        backing,
        (
            vim.vm.device.VirtualDisk.RawDiskVer2BackingInfo,
            vim.vm.device.VirtualDisk.PartitionedRawDiskVer2BackingInfo,
        ),
    ):
        return "it is a raw device"
    if getattr(controller, "sharedBus", "noSharing") not in (None, "noSharing"):
        return f"its controller shares the bus ({controller.sharedBus})"
    if getattr(backing, "sharing", None) == "sharingMultiWriter":
        return "it is shared with other VMs (multi-writer)"
    return None
