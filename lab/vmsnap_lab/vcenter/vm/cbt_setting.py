# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking of a VM: when a setting takes effect.

On a VM that is off it does at once; on a running one with the next snapshot created, deleted
or reverted to, resume or power-on (VMware's VDDK programming guide, "Enabling Changed Block
Tracking").
"""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.vm import buses, disk_devices
from vmsnap_lab.vcenter.vm.config import option, with_options
from vmsnap_lab.vcenter.vm.machine import Machine


def apply(vm: Machine) -> None:
    """Start or stop tracking on the leaf of every disk by the configuration."""
    store = vm.vcenter.store
    for device in buses.disks(vm.live.hardware.device):
        path = device.backing.fileName
        enabled = is_enabled(vm.live, device)
        tracked = store.change_id(path) is not None
        if enabled and not tracked:
            store.enable_tracking(path)
        elif tracked and not enabled:
            store.disable_tracking(path)


def is_enabled(config: Any, device: Any) -> bool:
    """Whether a disk is to be tracked: the VM's setting, its own, and what its kind allows."""
    if not config.changeTrackingEnabled or disk_devices.is_physical_rdm(device):
        return False
    own = option(config, f"{buses.slot(config.hardware.device, device)}.ctkEnabled")
    return str(own if own is not None else True).lower() != "false"


def options(config: Any) -> list[Any]:
    """The extra configuration with the keys in which ESXi keeps the setting."""
    enabled = bool(config.changeTrackingEnabled)
    keys = ["ctkEnabled"]
    if enabled:
        keys += [
            f"{buses.slot(config.hardware.device, device)}.ctkEnabled"
            for device in buses.disks(config.hardware.device)
        ]
    changes = [
        vim.option.OptionValue(key=key, value=str(enabled).upper())
        for key in keys
        if key == "ctkEnabled" or option(config, key) is None
    ]
    return with_options(config.extraConfig, changes)
