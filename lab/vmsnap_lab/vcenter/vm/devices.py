# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changing the devices of a VM."""

from __future__ import annotations

import copy
from typing import Any, Optional

from pyVmomi import VmomiSupport, vim

from vmsnap_lab.vcenter.vm import buses, disk_devices, hardware, nics
from vmsnap_lab.vcenter.vm.disk_devices import operation_fault, spec_fault
from vmsnap_lab.vcenter.vm.disk_files import FilePlan
from vmsnap_lab.vcenter.vm.site import Site

Device = vim.vm.device
Operation = Device.VirtualDeviceSpec.Operation
Sharing = Device.VirtualSCSIController.Sharing


class DeviceEditor:
    """Applies the `deviceChange` of one configuration spec.

    `devices` is the new list; devices of the old one are replaced, never changed. `files`
    is what has to be done to disk files. Kinds of devices the simulation has no rules for
    are kept as the client sent them. Not simulated: device options of hardware versions, hot-plug
    rules beyond CPU and memory.
    """

    def __init__(self, site: Site, devices: list[Any]) -> None:
        self._site = site
        self.devices = list(devices)
        self.files = FilePlan()
        self._keys: dict[int, int] = {}  # of new controllers: key in the spec, key assigned

    def apply(self, specs: list[Any]) -> None:
        """Raises InvalidDeviceSpec and its subclasses; file faults."""
        numbered = list(enumerate(specs))
        for index, spec in numbered:
            if spec.operation == Operation.remove:
                self._remove(spec, index)
        # Controllers first: devices may refer to one that comes later in the spec.
        for index, spec in numbered:
            if spec.operation == Operation.add and _is_controller(spec.device):
                self._add(spec, index)
        for index, spec in numbered:
            if spec.operation == Operation.add and not _is_controller(spec.device):
                self._add(spec, index)
            elif spec.operation == Operation.edit:
                self._edit(spec, index)
            elif spec.operation is None:
                raise spec_fault(index, "operation", "no operation given")
        self._check_controllers()

    def finish(self) -> list[Any]:
        """The devices by key, controllers knowing what hangs on them, labels up to date."""
        keys_on: dict[int, list[int]] = {}
        for device in self.devices:
            if device.controllerKey is not None:
                keys_on.setdefault(device.controllerKey, []).append(device.key)
        return [
            self._finished(device, keys_on)
            for device in sorted(self.devices, key=lambda device: device.key)
        ]

    def _finished(self, device: Any, keys_on: dict[int, list[int]]) -> Any:
        finished = copy.copy(device)
        if _is_controller(device):
            finished.device = sorted(keys_on.get(device.key, []))
        network = nics.network_name(self._site, device) if nics.is_nic(device) else ""
        known = device.deviceInfo.label if device.deviceInfo is not None else None
        finished.deviceInfo = vim.Description(
            label=known or hardware.label(device, []),
            summary=hardware.summary(device, network),
        )
        return finished

    # Remove

    def _remove(self, spec: Any, index: int) -> None:
        device = self._find(spec.device.key, index)
        self.devices.remove(device)
        for disk in buses.disks([device]):
            path = disk.backing.fileName
            if spec.fileOperation == Device.VirtualDeviceSpec.FileOperation.destroy:
                self.files.destroy.append(path)
            elif spec.fileOperation is None:
                self.files.release.append(path)
            else:
                raise operation_fault(index, Operation.remove, "file operation")

    def _find(self, key: int, index: int) -> Any:
        device = buses.find(self.devices, key)
        if device is None:
            raise spec_fault(index, "device.key", f"there is no device {key}")
        return device

    # Add

    def _add(self, spec: Any, index: int) -> None:
        device = spec.device
        spec_key = device.key
        device.deviceInfo = None
        single = _single_key(device)
        if single is not None:
            device.key = single
            self.devices = [other for other in self.devices if other.key != single]
        elif _is_controller(device) and buses.bus_of(device) is not None:
            self._place_controller(device, index)
        elif _takes_unit(device):
            self._place_on_bus(device, index)
        else:
            self._place_in_series(device, index)
        if isinstance(device, Device.VirtualDisk):
            disk_devices.complete_new(self._site, self.files, spec, index)
            self._check_not_attached(device, index)
        elif nics.is_nic(device):
            nics.complete(self._site, device, index)
        if _is_controller(device):
            self._keys[spec_key] = device.key
        device.deviceInfo = vim.Description(label=hardware.label(device, self.devices), summary="")
        self.devices.append(device)

    def _place_controller(self, device: Any, index: int) -> None:
        bus = buses.bus_of(device)
        assert bus is not None
        taken = {other.busNumber for other in buses.controllers(self.devices, bus)}
        free = [number for number in range(bus.controllers) if number not in taken]
        if not free:
            raise vim.fault.TooManyDevices(
                property=f"virtualDeviceSpec[{index}]",
                msg=f"There are too many {bus.name} controllers",
            )
        device.busNumber = device.busNumber if device.busNumber in free else free[0]
        device.key = bus.first_key + device.busNumber
        device.controllerKey = None if bus is buses.IDE else buses.PCI
        device.device = []
        if isinstance(device, Device.VirtualSCSIController):
            device.sharedBus = device.sharedBus or Sharing.noSharing
            device.scsiCtlrUnitNumber = 7
            device.hotAddRemove = True

    def _place_on_bus(self, device: Any, index: int) -> None:
        controller_key = device.controllerKey
        controller = self._controller(controller_key)
        bus = buses.bus_of(controller)
        if controller_key is None:
            raise vim.fault.MissingController(
                deviceIndex=index,
                property="virtualDeviceSpec.device.controllerKey",
                msg=f"Device '{index}' specifies no controller.",
            )
        if bus is None:
            raise vim.fault.InvalidController(
                deviceIndex=index,
                controllerKey=controller_key,
                property="virtualDeviceSpec.device.controllerKey",
                msg=f"Device '{index}' specifies invalid controller '{controller_key}'.",
            )
        device.controllerKey = controller.key
        device.unitNumber = self._unit(device, controller, bus, index)
        device.key = bus.device_key(controller.busNumber, device.unitNumber)

    def _unit(self, device: Any, controller: Any, bus: buses.Bus, index: int) -> int:
        unit = device.unitNumber
        if unit is None or unit < 0:
            free = buses.free_unit(self.devices, controller.key, bus)
            if free is None:
                raise vim.fault.TooManyDevices(
                    property=f"virtualDeviceSpec[{index}]",
                    msg=f"The controller {controller.key} has no unit left",
                )
            return free
        if unit >= bus.units or unit in bus.reserved:
            raise spec_fault(index, "device.unitNumber", f"there is no unit {unit}")
        if unit in buses.units_in_use(self.devices, controller.key):
            raise spec_fault(index, "device.unitNumber", f"unit {unit} is in use")
        return unit

    def _place_in_series(self, device: Any, index: int) -> None:
        kind, first_key, most, controller = buses.series_of(device)
        taken = {other.key for other in self.devices}
        free = [key for key in range(first_key, first_key + most) if key not in taken]
        if not free:
            raise vim.fault.TooManyDevices(
                property=f"virtualDeviceSpec[{index}]",
                msg=f"There are too many devices of the type {kind.__name__}",
            )
        device.key = free[0]
        known = self._controller(device.controllerKey)
        device.controllerKey = known.key if known is not None else controller
        if device.unitNumber is None or device.unitNumber < 0 or kind is Device.VirtualEthernetCard:
            device.unitNumber = 7 + device.key - first_key

    def _controller(self, key: Optional[int]) -> Any:
        if key is None:
            return None
        known = buses.find(self.devices, self._keys.get(key, key))
        if known is None and key in (200, 201):  # of a new VM, which has both IDE controllers
            known = Device.VirtualIDEController(key=key, busNumber=key - 200)
            self.devices.append(known)
        return known

    def _check_not_attached(self, device: Any, index: int) -> None:
        path = device.backing.fileName
        if any(path == disk.backing.fileName for disk in buses.disks(self.devices)):
            raise vim.fault.InvalidDeviceBacking(
                deviceIndex=index,
                property="virtualDeviceSpec.device.backing.fileName",
                msg=f"Invalid configuration for device '{index}': {path} is in use.",
            )

    # Edit

    def _edit(self, spec: Any, index: int) -> None:
        changes = spec.device
        old = self._find(changes.key, index)
        if type(changes) is not type(old) and not isinstance(changes, type(old)):
            raise spec_fault(index, "device", "a device keeps its type")
        position = self.devices.index(old)
        if isinstance(old, Device.VirtualDisk):
            new = disk_devices.edited(self._site, self.files, old, changes, index)
        else:
            new = _merged(old, changes)
            if nics.is_nic(new):
                nics.complete(self._site, new, index)
        self.devices[position] = new
        self._move_on_bus(old, new, changes, index)

    def _move_on_bus(self, old: Any, new: Any, changes: Any, index: int) -> None:
        if not _takes_unit(old) or changes.controllerKey is None:
            return
        if (changes.controllerKey, changes.unitNumber) in (
            (old.controllerKey, old.unitNumber),
            (old.controllerKey, None),
        ):
            return
        self.devices.remove(new)
        new.controllerKey, new.unitNumber = changes.controllerKey, changes.unitNumber
        self._place_on_bus(new, index)
        self.devices.append(new)

    def _check_controllers(self) -> None:
        keys = {device.key for device in self.devices}
        for device in self.devices:
            key = device.controllerKey
            if _takes_unit(device) and key not in keys:
                raise vim.fault.InvalidController(
                    deviceIndex=0,
                    controllerKey=key or 0,
                    property="virtualDeviceSpec.device.controllerKey",
                    msg=f"Device {device.key} would be left without controller '{key}'.",
                )


def _is_controller(device: Any) -> bool:
    return isinstance(device, Device.VirtualController)


def _takes_unit(device: Any) -> bool:
    return isinstance(device, (Device.VirtualDisk, Device.VirtualCdrom))


def _single_key(device: Any) -> Optional[int]:
    for kind, key in buses.SINGLE:
        if isinstance(device, kind):
            return key
    return None


def _merged(old: Any, new: Any) -> Any:
    """`old` with what is set in `new`; the key and the label stay."""
    merged = copy.copy(old)
    for info in new._GetPropertyList():
        value = getattr(new, info.name)
        unset = value is None or (isinstance(value, list) and not value)
        if not unset and info.name not in ("key", "deviceInfo", "device"):
            if isinstance(value, VmomiSupport.DataObject) and type(value) is type(
                getattr(old, info.name)
            ):
                value = _merged(getattr(old, info.name), value)
            setattr(merged, info.name, value)
    return merged
