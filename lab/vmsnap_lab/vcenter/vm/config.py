# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The configuration of a VM: a new one, and what a spec changes in it.

A configuration is replaced, never changed: snapshots keep the one of their moment.
"""

from __future__ import annotations

import copy
import datetime
import re
import uuid
from typing import Any, Optional

from pyVmomi import VmomiSupport, vim, vmodl

from vmsnap_lab.vcenter import faults

DEFAULT_VERSION = "vmx-19"
DEFAULT_GUEST = "otherGuest"
_VERSION = re.compile(r"vmx-\d{2}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GUESTS = {
    "otherGuest": "Other (32-bit)",
    "otherGuest64": "Other (64-bit)",
    "debian12_64Guest": "Debian GNU/Linux 12 (64-bit)",
    "rhel9_64Guest": "Red Hat Enterprise Linux 9 (64-bit)",
    "ubuntu64Guest": "Ubuntu Linux (64-bit)",
    "windows2019srv_64Guest": "Microsoft Windows Server 2019 (64-bit)",
}
MOST_CPUS, MOST_MEMORY = 768, 24 << 20  # MB

# Handled by themselves, in this module or by the caller.
_BY_THEMSELVES = frozenset(
    [
        "dynamicType",
        "dynamicProperty",
        "changeVersion",
        "name",
        "files",
        "numCPUs",
        "numCoresPerSocket",
        "memoryMB",
        "virtualICH7MPresent",
        "virtualSMCPresent",
        "motherboardLayout",
        "simultaneousThreads",
        "deviceChange",
        "extraConfig",
        "powerOpInfo",
        "uuid",
        "instanceUuid",
        "version",
        "guestId",
        "npivWorldWideNameOp",
    ]
)
# No counterpart in the simulation: refused rather than dropped.
_REFUSED = frozenset(
    [
        "vAppConfig",
        "vAppConfigRemoved",
        "repConfig",
        "vmProfile",
        "crypto",
        "cpuFeatureMask",
        "ftInfo",
        "scheduledHardwareUpgradeInfo",
        "tagSpecs",
        "vmPlacementPolicies",
        "virtualNuma",
    ]
)
_HARDWARE = {
    "numCPUs": "numCPU",
    "numCoresPerSocket": "numCoresPerSocket",
    "memoryMB": "memoryMB",
    "virtualICH7MPresent": "virtualICH7MPresent",
    "virtualSMCPresent": "virtualSMCPresent",
    "motherboardLayout": "motherboardLayout",
    "simultaneousThreads": "simultaneousThreads",
}


def new_config(name: str, vmx_path: str, now: datetime.datetime) -> Any:
    """The configuration that an empty spec gives, without devices."""
    allocation = vim.ResourceAllocationInfo(
        reservation=0,
        expandableReservation=False,
        limit=-1,
        shares=vim.SharesInfo(shares=1000, level="normal"),
    )
    return vim.vm.ConfigInfo(
        changeVersion="",
        modified=now,
        name=name,
        guestFullName=_GUESTS[DEFAULT_GUEST],
        guestId=DEFAULT_GUEST,
        alternateGuestName="",
        version=DEFAULT_VERSION,
        uuid=str(uuid.uuid4()),
        instanceUuid=str(uuid.uuid4()),
        createDate=now,
        template=False,
        annotation="",
        files=files_of(vmx_path),
        tools=vim.vm.ToolsConfigInfo(toolsVersion=0, syncTimeWithHost=False),
        flags=vim.vm.FlagInfo(enableLogging=True, diskUuidEnabled=False),
        defaultPowerOps=vim.vm.DefaultPowerOpInfo(
            powerOffType="soft", suspendType="hard", resetType="soft", standbyAction="checkpoint"
        ),
        hardware=vim.vm.VirtualHardware(
            numCPU=1, numCoresPerSocket=1, memoryMB=128, virtualICH7MPresent=False
        ),
        cpuAllocation=allocation,
        memoryAllocation=allocation,
        memoryHotAddEnabled=False,
        cpuHotAddEnabled=False,
        cpuHotRemoveEnabled=False,
        bootOptions=vim.vm.BootOptions(
            bootDelay=0, enterBIOSSetup=False, efiSecureBootEnabled=False, bootRetryEnabled=False
        ),
        changeTrackingEnabled=False,
        firmware="bios",
        maxMksConnections=40,
        nestedHVEnabled=False,
    )


def files_of(vmx_path: str) -> Any:
    folder = vmx_path.rpartition("/")[0] + "/"
    return vim.vm.FileInfo(
        vmPathName=vmx_path,
        snapshotDirectory=folder,
        suspendDirectory=folder,
        logDirectory=folder,
    )


def with_spec(old: Any, spec: Any) -> Any:
    """`old` with everything of the spec but name, files and devices.

    Raises InvalidArgument, NotSupported.
    """
    _check_supported(spec)
    config = copy.copy(old)
    for info in config._GetPropertyList():
        if info.name in _BY_THEMSELVES or not hasattr(spec, info.name):
            continue
        value = getattr(spec, info.name)
        if value is not None and not (isinstance(value, list) and not value):
            setattr(config, info.name, _joined(getattr(old, info.name), value))
    if spec.powerOpInfo is not None:
        config.defaultPowerOps = _joined(old.defaultPowerOps, spec.powerOpInfo)
    if spec.guestId:
        config.guestId = spec.guestId
        config.guestFullName = _GUESTS.get(spec.guestId, spec.guestId)
    config.version = _version(spec) or old.version
    for name in ("uuid", "instanceUuid"):
        value = getattr(spec, name)
        if value:
            _check_uuid(name, value)
            setattr(config, name, value.lower())
    config.hardware = _hardware(old.hardware, spec)
    config.extraConfig = with_options(old.extraConfig, spec.extraConfig)
    return config


def with_options(old: list[Any], changes: list[Any]) -> list[Any]:
    """Extra configuration with changes; an empty value takes a key away."""
    options: dict[str, Any] = {option.key: option.value for option in old}
    for option in changes:
        if option.value in (None, ""):
            options.pop(option.key, None)
        else:
            options[option.key] = option.value
    return [vim.option.OptionValue(key=key, value=value) for key, value in options.items()]


def option(config: Any, key: str) -> Any:
    """The value of a key of the extra configuration, or None."""
    for known in config.extraConfig:
        if known.key == key:
            return known.value
    return None


def with_disk_paths(
    config: Any, paths: dict[str, str], datastores: Optional[dict[str, Any]] = None
) -> Any:
    """The configuration with its disks on other files: old path to new path.

    `datastores` has the reference for each new path, if they may differ from those before.
    """
    if not any(
        getattr(device.backing, "fileName", None) in paths for device in config.hardware.device
    ):
        return config
    moved = copy.copy(config)
    moved.hardware = copy.copy(config.hardware)
    moved.hardware.device = [
        _moved(device, paths, datastores or {}) for device in config.hardware.device
    ]
    return moved


def _moved(device: Any, paths: dict[str, str], datastores: dict[str, Any]) -> Any:
    path = getattr(device.backing, "fileName", None)
    if path not in paths:
        return device
    device = copy.copy(device)
    device.backing = copy.copy(device.backing)
    device.backing.fileName = paths[path]
    device.backing.datastore = datastores.get(paths[path], device.backing.datastore)
    return device


def _check_supported(spec: Any) -> None:
    for name in _REFUSED:
        value = getattr(spec, name, None)
        if value is not None and not (isinstance(value, list) and not value):
            raise vmodl.fault.NotSupported(msg=f"The simulation does not have configSpec.{name}")


def _joined(old: Any, new: Any) -> Any:
    """A data object with what is set in `new`; anything else is replaced."""
    if not isinstance(new, VmomiSupport.DataObject) or type(old) is not type(new):
        return new
    joined = copy.copy(old)
    for info in new._GetPropertyList():
        value = getattr(new, info.name)
        if value is not None and not (isinstance(value, list) and not value):
            setattr(joined, info.name, value)
    return joined


def _hardware(old: Any, spec: Any) -> Any:
    hardware = copy.copy(old)
    for name, target in _HARDWARE.items():
        value = getattr(spec, name)
        if value is not None:
            setattr(hardware, target, value)
    if spec.memoryMB is not None and not (
        0 < spec.memoryMB <= MOST_MEMORY and spec.memoryMB % 4 == 0
    ):
        raise faults.invalid_argument("configSpec.memoryMB")
    if not 0 < hardware.numCPU <= MOST_CPUS:
        raise faults.invalid_argument("configSpec.numCPUs")
    cores = hardware.numCoresPerSocket or 1
    if spec.numCoresPerSocket is None and hardware.numCPU % cores:
        hardware.numCoresPerSocket = cores = 1
    if cores < 1 or hardware.numCPU % cores:
        raise faults.invalid_argument("configSpec.numCoresPerSocket")
    return hardware


def _version(spec: Any) -> str:
    version = spec.version or ""
    if version and _VERSION.fullmatch(version) is None:
        raise faults.invalid_argument("configSpec.version")
    return version


def _check_uuid(name: str, value: str) -> None:
    if _UUID.fullmatch(value) is None:
        raise faults.invalid_argument(f"configSpec.{name}")
