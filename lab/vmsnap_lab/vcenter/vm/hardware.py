# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The hardware of a new VM, and the labels devices get."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.vm import buses

Device = vim.vm.device

_LABELS = (
    (Device.VirtualDisk, "Hard disk"),
    (Device.VirtualCdrom, "CD/DVD drive"),
    (Device.VirtualFloppy, "Floppy drive"),
    (Device.VirtualEthernetCard, "Network adapter"),
    (Device.VirtualSerialPort, "Serial port"),
    (Device.VirtualParallelPort, "Parallel port"),
    (Device.VirtualSoundCard, "Sound card"),
    (Device.VirtualPCIPassthrough, "PCI device"),
)
_NUMBERED_FROM_ZERO = (
    (Device.VirtualIDEController, "IDE"),
    (Device.VirtualSCSIController, "SCSI controller"),
    (Device.VirtualSATAController, "SATA controller"),
    (Device.VirtualNVMEController, "NVME controller"),
    (Device.VirtualPCIController, "PCI controller"),
    (Device.VirtualPS2Controller, "PS2 controller"),
    (Device.VirtualSIOController, "SIO controller"),
)
_PLAIN = (
    (Device.VirtualUSBXHCIController, "USB xHCI controller"),
    (Device.VirtualUSBController, "USB controller"),
    (Device.VirtualKeyboard, "Keyboard"),
    (Device.VirtualPointingDevice, "Pointing device"),
    (Device.VirtualVideoCard, "Video card"),
    (Device.VirtualVMCIDevice, "VMCI device"),
    (Device.VirtualTPM, "Virtual TPM"),
)
_SUMMARIES = (
    (Device.ParaVirtualSCSIController, "VMware paravirtual SCSI"),
    (Device.VirtualLsiLogicSASController, "LSI Logic SAS"),
    (Device.VirtualLsiLogicController, "LSI Logic"),
    (Device.VirtualBusLogicController, "BusLogic"),
    (Device.VirtualAHCIController, "AHCI"),
)


def default_devices(devices: list[Any]) -> list[Any]:
    """The devices every VM has and that are missing among `devices`."""
    pointing = Device.VirtualPointingDevice.DeviceBackingInfo(
        deviceName="", useAutoDetect=False, hostPointingDevice="autodetect"
    )
    defaults = [
        Device.VirtualIDEController(key=200, busNumber=0),
        Device.VirtualIDEController(key=201, busNumber=1),
        Device.VirtualPS2Controller(key=buses.PS2, busNumber=0),
        Device.VirtualPCIController(key=buses.PCI, busNumber=0),
        Device.VirtualSIOController(key=buses.SIO, busNumber=0),
        Device.VirtualKeyboard(key=600, controllerKey=buses.PS2, unitNumber=0),
        Device.VirtualPointingDevice(
            key=700, controllerKey=buses.PS2, unitNumber=1, backing=pointing
        ),
        Device.VirtualVideoCard(
            key=500,
            controllerKey=buses.PCI,
            unitNumber=0,
            videoRamSizeInKB=4096,
            numDisplays=1,
            useAutoDetect=False,
            enable3DSupport=False,
            use3dRenderer="automatic",
        ),
        Device.VirtualVMCIDevice(
            key=12000, controllerKey=buses.PCI, unitNumber=17, allowUnrestrictedCommunication=False
        ),
    ]
    present = {device.key for device in devices}
    return [device for device in defaults if device.key not in present]


def label(device: Any, others: list[Any]) -> str:
    """The label of a new device: the kind's name and the lowest number not in use."""
    for kind, name in _NUMBERED_FROM_ZERO:
        if isinstance(device, kind):
            return f"{name} {device.busNumber}"
    for kind, name in _LABELS:
        if isinstance(device, kind):
            taken = {other.deviceInfo.label for other in others if other.deviceInfo is not None}
            number = 1
            while f"{name} {number}" in taken:
                number += 1
            return f"{name} {number}"
    for kind, name in _PLAIN:
        if isinstance(device, kind):
            return name
    return type(device).__name__.rpartition(".")[2]


def summary(device: Any, network_name: str = "") -> str:
    if isinstance(device, Device.VirtualDisk):
        return f"{device.capacityInKB:,} KB"
    if isinstance(device, Device.VirtualEthernetCard):
        return network_name
    for kind, text in _SUMMARIES:
        if isinstance(device, kind):
            return text
    return label(device, [])
