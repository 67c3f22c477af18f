# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Specs that bring a VM to a saved configuration: at its creation and at every node after it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.vsphere import markers, vmodl_json

# (field of ConfigSpec, path in ConfigInfo)
_FIELDS = (
    ("guestId", "guestId"),
    ("alternateGuestName", "alternateGuestName"),
    ("annotation", "annotation"),
    ("numCPUs", "hardware.numCPU"),
    ("numCoresPerSocket", "hardware.numCoresPerSocket"),
    ("memoryMB", "hardware.memoryMB"),
    ("cpuHotAddEnabled", "cpuHotAddEnabled"),
    ("cpuHotRemoveEnabled", "cpuHotRemoveEnabled"),
    ("memoryHotAddEnabled", "memoryHotAddEnabled"),
    ("nestedHVEnabled", "nestedHVEnabled"),
    ("firmware", "firmware"),
    ("cpuAllocation", "cpuAllocation"),
    ("memoryAllocation", "memoryAllocation"),
)
# Only at creation: vSphere does not let them be set back, or not while snapshots exist.
_CREATE_FIELDS = (("version", "version"), ("bootOptions", "bootOptions"))
# Options that vSphere writes itself, per host, per run or per file of the old VM.
_TRANSIENT = re.compile(
    r"nvram|.*ctkEnabled|.*\.redo|migrate\..*|sched\.swap\.derivedName|vmotion\..*|viv\.moid"
    r"|vmxstats\.filename|softPowerOff|toolsInstallManager\..*|monitor\.phys_bits_used"
    r"|numa\.autosize\..*|tools\.(guest|remindInstall|capability).*|guestinfo\.vmtools\..*"
    r"|guestInfo\.detailed\.data|vmware\.tools\..*"
)
_IMPLICIT = (
    vim.vm.device.VirtualKeyboard,
    vim.vm.device.VirtualPointingDevice,
    vim.vm.device.VirtualPCIController,
    vim.vm.device.VirtualPS2Controller,
    vim.vm.device.VirtualSIOController,
    vim.vm.device.VirtualIDEController,
    vim.vm.device.VirtualVMCIDevice,
    vim.vm.device.VirtualVideoCard,
)
_ADD = vim.vm.device.VirtualDeviceSpec.Operation.add
_REMOVE = vim.vm.device.VirtualDeviceSpec.Operation.remove
_EDIT = vim.vm.device.VirtualDeviceSpec.Operation.edit
_CREATE_FILE = vim.vm.device.VirtualDeviceSpec.FileOperation.create
_DESTROY_FILE = vim.vm.device.VirtualDeviceSpec.FileOperation.destroy


@dataclass(frozen=True)
class Placement:
    """Where new disks go: one datastore for all of them, or None for the one each came from."""

    datastore: Optional[str] = None

    def of(self, disk: segment_header.Disk) -> str:
        """The name of the datastore for `disk`."""
        return self.datastore or disk.path.partition("]")[0].lstrip("[")


def create_spec(
    config: Any,
    disks: Iterable[segment_header.Disk],
    name: str,
    path: str,
    place: Placement,
    tracking: bool,
    mark: str,
) -> Any:
    """The spec that creates a VM called `name`, disks empty.

    `path` is that of its configuration file, or only the datastore ("[datastore1]"): vSphere then
    makes a folder that is called as the VM is.
    `tracking` switches changed block tracking on from the start: it cannot be enabled later, under
    existing snapshots. `mark` is the restore's; it keeps later backups from trusting it for what we
    write.
    """
    spec = vim.vm.ConfigSpec(name=name, files=vim.vm.FileInfo(vmPathName=path))
    for field, path in (*_FIELDS, *_CREATE_FIELDS):
        value = _at(config, path)
        if value is not None:
            setattr(spec, field, value)
    spec.changeTrackingEnabled = tracking
    spec.extraConfig = [
        *_kept_options(config),
        vim.option.OptionValue(key=markers.RESTORED_KEY, value=mark),
    ]
    spec.deviceChange = [
        vim.vm.device.VirtualDeviceSpec(operation=_ADD, device=device)
        for device in _plain_devices(config)
    ] + [add_disk(config, disk, place) for disk in disks]
    return spec


def change_spec(
    now: Any,
    target: Any,
    gone: Iterable[int],
    new: Iterable[segment_header.Disk],
    place: Placement,
    mark: Optional[str] = None,
) -> Optional[Any]:
    """The spec that brings a VM from configuration `now` to `target`; None if they agree.

    `gone` are keys of disks to detach, `new` the disks to add, empty; `mark` is a new mark of the
    restore, or None to leave it as it is.
    """
    spec = vim.vm.ConfigSpec()
    changed = False
    for field, path in _FIELDS:
        value = _at(target, path)
        if value is not None and not _alike(value, _at(now, path)):
            setattr(spec, field, value)
            changed = True
    options = _changed_options(now, target)
    if mark is not None:
        options.append(vim.option.OptionValue(key=markers.RESTORED_KEY, value=mark))
    gone_keys = set(gone)
    devices = [
        *_detached(now, gone_keys),
        *_changed_devices(now, target),
        *(add_disk(target, disk, place) for disk in new),
    ]
    if not (changed or options or devices):
        return None
    spec.extraConfig, spec.deviceChange = options, devices
    return spec


def add_disk(config: Any, disk: segment_header.Disk, place: Placement) -> Any:
    """The change that adds `disk` as `config` has it, as a new and empty file.

    Raises errors.RestoreError if it does not have that disk.
    """
    saved = next((d for d in config.hardware.device if d.key == disk.key), None)
    if saved is None:
        raise errors.RestoreError(
            f"The manifest's configuration of the VM has no disk {disk.key} ({disk.slot})",
            todo="Is the manifest damaged?",
            id="vm-config-unusable",
        )
    device = _copy(saved)
    old = device.backing
    device.capacityInBytes = disk.capacity
    device.capacityInKB = disk.capacity // 1024
    device.backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[{place.of(disk)}]",
        diskMode=old.diskMode,
        thinProvisioned=getattr(old, "thinProvisioned", None),
        uuid=getattr(old, "uuid", None),
    )
    for unset in ("diskObjectId", "vDiskId", "nativeUnmanagedLinkedClone", "iofilter"):
        if hasattr(device, unset):
            setattr(device, unset, [] if unset == "iofilter" else None)
    return vim.vm.device.VirtualDeviceSpec(
        operation=_ADD, fileOperation=_CREATE_FILE, device=device
    )


def forget_identity(spec: Any) -> None:
    """Make a create spec that of a copy: vSphere assigns new UUIDs and MAC addresses."""
    spec.uuid = spec.instanceUuid = None
    for change in spec.deviceChange:
        if isinstance(change.device, vim.vm.device.VirtualEthernetCard):
            change.device.macAddress = None
            change.device.addressType = "generated"


def keep_identity(spec: Any, config: Any) -> None:
    """Give the VM the UUIDs of the saved one; only for use if no other VM has them."""
    spec.uuid, spec.instanceUuid = config.uuid, config.instanceUuid


def unmark_spec(change_version: str) -> Any:
    """The spec that removes the restore's mark from the VM's own configuration.

    vSphere refuses it (ConcurrentAccess) if the configuration is no longer that version.
    """
    option = vim.option.OptionValue(key=markers.RESTORED_KEY, value="")
    return vim.vm.ConfigSpec(extraConfig=[option], changeVersion=change_version or None)


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = getattr(config, part)
    return config


def _alike(one: Any, other: Any) -> bool:
    return bool(vmodl_json.encode(one) == vmodl_json.encode(other))


def _copy(value: Any) -> Any:
    return vmodl_json.decode(vmodl_json.encode(value))


def _options(config: Any) -> dict[str, Any]:
    kept = (o for o in config.extraConfig or [] if not _TRANSIENT.fullmatch(o.key))
    return {option.key: option.value for option in kept if option.key not in markers.KEYS}


def _kept_options(config: Any) -> list[Any]:
    return [vim.option.OptionValue(key=k, value=v) for k, v in _options(config).items()]


def _changed_options(now: Any, target: Any) -> list[Any]:
    have, want = _options(now), _options(target)
    changed = {key: value for key, value in want.items() if have.get(key) != value}
    changed.update({key: "" for key in have if key not in want})
    return [vim.option.OptionValue(key=k, value=v) for k, v in changed.items()]


def _plain_devices(config: Any) -> list[Any]:
    """The devices to specify, without disks and those every VM has; controllers first."""
    found = [
        _copy(device)
        for device in config.hardware.device
        if not isinstance(device, (vim.vm.device.VirtualDisk, *_IMPLICIT))
    ]
    for device in found:
        if isinstance(device, vim.vm.device.VirtualController):
            device.device = []
    return sorted(found, key=lambda d: not isinstance(d, vim.vm.device.VirtualController))


def _changed_devices(now: Any, target: Any) -> list[Any]:
    have = {device.key: device for device in _plain_devices(now)}
    want = {device.key: device for device in _plain_devices(target)}
    changes = []
    for key in sorted(have, reverse=True):
        if key not in want or type(want[key]) is not type(have[key]):
            changes.append((_REMOVE, have[key]))
    for key, device in want.items():
        if key not in have or type(have[key]) is not type(device):
            changes.append((_ADD, device))
        elif _essence(have[key]) != _essence(device):
            changes.append((_EDIT, device))
    return [vim.vm.device.VirtualDeviceSpec(operation=op, device=dev) for op, dev in changes]


def _essence(device: Any) -> Any:
    """A device without what vSphere fills in by itself."""
    value = vmodl_json.encode(device)
    for name in ("deviceInfo", "connectable", "slotInfo", "macAddress", "addressType"):
        value.pop(name, None)
    for name in ("externalId", "resourceAllocation", "uptCompatibilityEnabled"):
        value.pop(name, None)
    backing = value.get("backing")
    if isinstance(backing, dict):
        for name in ("network", "datastore", "backingObjectId", "inPassthroughMode"):
            backing.pop(name, None)
        if isinstance(backing.get("port"), dict):
            backing["port"] = {"portgroupKey": backing["port"].get("portgroupKey")}
    return value


def _detached(now: Any, gone: set[int]) -> list[Any]:
    changes = []
    for device in now.hardware.device:
        if isinstance(device, vim.vm.device.VirtualDisk) and device.key in gone:
            change = vim.vm.device.VirtualDeviceSpec(operation=_REMOVE, device=device)
            # A delta's parents belong to snapshots; a disk without parents belongs to nobody else.
            if getattr(device.backing, "parent", None) is None:
                change.fileOperation = _DESTROY_FILE
            changes.append(change)
    return changes
