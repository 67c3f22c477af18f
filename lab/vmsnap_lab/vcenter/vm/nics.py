# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Network adapters: backings and MAC addresses."""

from __future__ import annotations

import random
import re
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter.vm.site import Site

Card = vim.vm.device.VirtualEthernetCard
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
_ASSIGNED = "00:50:56"  # VMware's own range; a vCenter hands out from 80:00:00 up


def is_nic(device: Any) -> bool:
    return isinstance(device, Card)


def complete(site: Site, device: Any, index: int) -> None:
    """Check a NIC's backing and give it an address.

    Raises InvalidDeviceBacking for a network the datacenter does not have, InvalidDeviceSpec
    for a malformed address.
    """
    network = network_of(site, device)
    if network is None:
        raise vim.fault.InvalidDeviceBacking(
            deviceIndex=index,
            property="virtualDeviceSpec.device.backing",
            msg=f"Invalid configuration for device '{index}': its network does not exist.",
        )
    if isinstance(device.backing, Card.NetworkBackingInfo):
        device.backing.network = network.ref
    if device.connectable is None:
        device.connectable = vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=True, allowGuestControl=True, connected=site.running, status="untried"
        )
    _address(device, index)


def network_of(site: Site, device: Any) -> Any:
    """The network a NIC is on, or None."""
    backing = device.backing
    if isinstance(backing, Card.NetworkBackingInfo):
        return site.network(backing.deviceName)
    if isinstance(backing, Card.DistributedVirtualPortBackingInfo):
        found = site.portgroup(backing.port.portgroupKey or "")
        same = found is not None and found.switch.uuid == backing.port.switchUuid
        return found if same else None
    return None


def network_name(site: Site, device: Any) -> str:
    network = network_of(site, device)
    return network.name if network is not None else ""


def _address(device: Any, index: int) -> None:
    address: Optional[str] = device.macAddress or None
    if address is not None and _MAC.fullmatch(address) is None:
        raise vim.fault.InvalidDeviceSpec(
            deviceIndex=index,
            property="virtualDeviceSpec.device.macAddress",
            msg=f"Invalid configuration for device '{index}': {address} is no MAC address.",
        )
    if address is None or (device.addressType or "").lower() == "generated":
        device.addressType = "assigned"
        tail = [random.randrange(0x80, 0xC0), random.randrange(256), random.randrange(256)]
        address = _ASSIGNED + "".join(f":{byte:02x}" for byte in tail)
    device.macAddress = address.lower()
    device.addressType = device.addressType or "manual"
