# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM's portrait with all its features: what must be the same after a restore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from bareos_vmsnap.vsphere import markers
from vmsnap_lab.demo import fingerprints
from vmsnap_lab.guest import Guest

Device = vim.vm.device
_FIELDS = (
    "guestId",
    "version",
    "firmware",
    "annotation",
    "cpuHotAddEnabled",
    "memoryHotAddEnabled",
    "changeTrackingEnabled",
)
# What vSphere writes by itself, and the marks that backups and restores leave.
_IGNORED = ("nvram", *markers.KEYS)


@dataclass(frozen=True)
class Portrait:
    """The faces of all nodes, the hardware and settings of each, and the NVRAM of now.

    Nodes are in the tree's order, the VM's own state is the last one.
    """

    faces: list[fingerprints.NodeFingerprint]
    features: list[dict[str, Any]]
    nvram: bytes

    @classmethod
    def take(cls, vm: Any, guest: Guest) -> Portrait:
        """Read every disk of every node."""
        faces = fingerprints.take(vm, guest)
        return cls(faces, [_features(config) for config in _configs(vm)], guest.nvram())


def _configs(vm: Any) -> list[Any]:
    """The configurations in the order of the faces."""
    configs = []
    pending = list(vm.snapshot.rootSnapshotList) if vm.snapshot else []
    while pending:
        node = pending.pop(0)
        configs.append(node.snapshot.config)
        pending = [*(node.childSnapshotList or []), *pending]
    return [*configs, vm.config]


def _features(config: Any) -> dict[str, Any]:
    features: dict[str, Any] = {name: getattr(config, name) for name in _FIELDS}
    features["cores"] = config.hardware.numCoresPerSocket
    features["options"] = {
        option.key: option.value
        for option in config.extraConfig
        if option.key not in _IGNORED and not option.key.endswith("ctkEnabled") and option.value
    }
    features["devices"] = [_device(d) for d in sorted(config.hardware.device, key=lambda d: d.key)]
    return features


def _device(device: Any) -> tuple[object, ...]:
    seen = [type(device).__name__, device.key, device.controllerKey, device.unitNumber]
    backing: Any = getattr(device, "backing", None)
    if isinstance(device, Device.VirtualDisk):
        seen += [device.capacityInBytes, backing.diskMode, bool(backing.thinProvisioned)]
        seen.append(backing.fileName.partition("]")[0])
    elif isinstance(device, Device.VirtualController):
        seen += [device.busNumber, getattr(device, "sharedBus", None)]
    elif isinstance(device, Device.VirtualEthernetCard):
        seen += [backing.deviceName, device.macAddress]
    return tuple(seen)
