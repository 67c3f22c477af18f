# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Virtual hardware, as the API wants it described."""

from __future__ import annotations

from typing import Any, Optional

from pyVmomi import vim

MIB = 1 << 20
Device = vim.vm.device
Change = Device.VirtualDeviceSpec

SCSI, NVME, SATA = (
    Device.ParaVirtualSCSIController,
    Device.VirtualNVMEController,
    Device.VirtualAHCIController,
)


def disk(
    size: int,
    *,
    controller: int = 1000,
    unit: Optional[int] = None,
    mode: str = "persistent",
    path: str = "",
    attach: bool = False,
    backing: Any = Device.VirtualDisk.FlatVer2BackingInfo,
    **fields: Any,
) -> Any:
    """Add a disk of `size` bytes; `attach` one whose file `path` exists."""
    device = Device.VirtualDisk(
        key=-1,
        controllerKey=controller,
        unitNumber=unit,
        capacityInBytes=size,
        capacityInKB=size // 1024,
        backing=backing(fileName=path, diskMode=mode, **fields),
    )
    return Change(operation="add", device=device, fileOperation=None if attach else "create")


def controller(kind: Any, key: int = -2, **fields: Any) -> Any:
    """Add a controller; disks of the same change refer to it by `key`."""
    return Change(operation="add", device=kind(key=key, **fields))


def nic(network: str, kind: Any = Device.VirtualVmxnet3) -> Any:
    """Add a network adapter with an address of its own."""
    backing = Device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
    return Change(operation="add", device=kind(key=-3, backing=backing, addressType="generated"))


def remove(device: Any, *, destroy: bool = False) -> Any:
    """Take a device away; a disk's file stays unless it is to be destroyed."""
    return Change(operation="remove", device=device, fileOperation="destroy" if destroy else None)


def edit(device: Any) -> Any:
    """Change a device to what `device` says."""
    return Change(operation="edit", device=device)
