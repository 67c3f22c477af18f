# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Buses of a VM: how many controllers and devices they take, and the keys these get."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from pyVmomi import vim

Device = vim.vm.device
# The controllers every VM has, and what hangs on them.
PCI, PS2, SIO = 100, 300, 400
FIRST_PARAVIRTUAL_KEY = 131072  # of units that the usual range has no room for


class Bus(NamedTuple):
    name: str  # in the keys of the configuration file: "scsi0:1"
    controller: Any  # pyVmomi type
    first_key: int  # of its controllers
    controllers: int
    units: int
    reserved: frozenset[int]
    first_device_key: int
    stride: int  # of device keys from one controller to the next

    def device_key(self, number: int, unit: int) -> int:
        if unit >= self.stride:
            return FIRST_PARAVIRTUAL_KEY + number * 64 + unit
        return self.first_device_key + number * self.stride + unit


IDE = Bus("ide", Device.VirtualIDEController, 200, 2, 2, frozenset(), 3000, 2)
SCSI = Bus("scsi", Device.VirtualSCSIController, 1000, 4, 16, frozenset((7,)), 2000, 16)
SATA = Bus("sata", Device.VirtualSATAController, 15000, 4, 30, frozenset(), 16000, 30)
NVME = Bus("nvme", Device.VirtualNVMEController, 31000, 4, 15, frozenset(), 32000, 64)
PARAVIRTUAL_SCSI = SCSI._replace(units=65)
BUSES = (IDE, SCSI, SATA, NVME)

# Devices that are on no disk bus: first key, most of them, their controller.
SERIES = (
    (Device.VirtualEthernetCard, 4000, 10, PCI),
    (Device.VirtualSoundCard, 5000, 1, PCI),
    (Device.VirtualUSBController, 7000, 1, PCI),
    (Device.VirtualUSBXHCIController, 14000, 1, PCI),
    (Device.VirtualFloppy, 8000, 2, SIO),
    (Device.VirtualSerialPort, 9000, 32, SIO),
    (Device.VirtualParallelPort, 10000, 3, SIO),
    (Device.VirtualTPM, 11000, 1, PCI),
    (Device.VirtualPCIPassthrough, 13000, 16, PCI),
)
OTHERS = (Device.VirtualDevice, 20000, 1000, PCI)
# Devices a VM has one of: adding one replaces it.
SINGLE = (
    (Device.VirtualVideoCard, 500),
    (Device.VirtualKeyboard, 600),
    (Device.VirtualPointingDevice, 700),
    (Device.VirtualVMCIDevice, 12000),
    (Device.VirtualPCIController, PCI),
    (Device.VirtualPS2Controller, PS2),
    (Device.VirtualSIOController, SIO),
)


def bus_of(controller: Any) -> Optional[Bus]:
    """The bus a controller drives; None for one that takes no disks."""
    if isinstance(controller, Device.ParaVirtualSCSIController):
        return PARAVIRTUAL_SCSI
    for bus in BUSES:
        if isinstance(controller, bus.controller):
            return bus
    return None


def series_of(device: Any) -> tuple[Any, int, int, int]:
    """Kind, first key, most of them and controller, for a device that is on no disk bus."""
    return next((series for series in SERIES if isinstance(device, series[0])), OTHERS)


def find(devices: Iterable[Any], key: Optional[int]) -> Any:
    """The device of a key, or None."""
    for device in devices:
        if device.key == key:
            return device
    return None


def controllers(devices: Iterable[Any], bus: Bus) -> list[Any]:
    return [device for device in devices if isinstance(device, bus.controller)]


def units_in_use(devices: Iterable[Any], controller_key: int) -> list[int]:
    return [
        device.unitNumber
        for device in devices
        if device.controllerKey == controller_key and device.unitNumber is not None
    ]


def free_unit(devices: Iterable[Any], controller_key: int, bus: Bus) -> Optional[int]:
    """The lowest unit free on a controller, None if it is full."""
    used = set(units_in_use(devices, controller_key)) | bus.reserved
    return next((unit for unit in range(bus.units) if unit not in used), None)


def slot(devices: Iterable[Any], device: Any) -> str:
    """A disk's place as the configuration file names it: `scsi0:1`."""
    controller = find(devices, device.controllerKey)
    bus = bus_of(controller)
    if bus is None:
        return f"device{device.key}"
    return f"{bus.name}{controller.busNumber}:{device.unitNumber}"


def disks(devices: Iterable[Any]) -> list[Any]:
    return [device for device in devices if isinstance(device, Device.VirtualDisk)]
