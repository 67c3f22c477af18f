# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Networks: plain ones of hosts, and distributed switches with their port groups."""

from __future__ import annotations

import uuid
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.entity import Entity
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.inventory.managed_entity import ManagedEntity
from vmsnap_lab.vcenter.services.hub import ServiceHub


class Network(ManagedEntity):
    TYPE = vim.Network
    rename_privilege = "Network.Config"
    prefix = "network-"

    def __init__(self, vcenter: ServiceHub, name: str, parent: Folder) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid(self.prefix), name, parent)
        self.host: list[Entity] = []
        parent.add(self)

    @property
    def summary(self) -> Any:
        return vim.Network.Summary(network=self.ref, name=self.name, accessible=True, ipPoolName="")

    @property
    def vm(self) -> list[Any]:
        return [vm for vm in self.vcenter.vms() if self in vm.network]


class DistributedVirtualSwitch(ManagedEntity):
    """Not simulated: ports, their settings, the switch's configuration."""

    TYPE = vim.dvs.VmwareDistributedVirtualSwitch

    def __init__(self, vcenter: ServiceHub, name: str, parent: Folder) -> None:
        super().__init__(vcenter, vcenter.objects.new_moid("dvs-"), name, parent)
        self.uuid = _switch_uuid()
        self.portgroup: list[DistributedVirtualPortgroup] = []
        parent.add(self)

    @property
    def summary(self) -> Any:
        return vim.DistributedVirtualSwitch.Summary(
            name=self.name,
            uuid=self.uuid,
            numPorts=sum(portgroup.ports for portgroup in self.portgroup),
            portgroupName=[portgroup.name for portgroup in self.portgroup],
        )


class DistributedVirtualPortgroup(Network):
    """Not simulated: single ports; every NIC gets a port without a number."""

    TYPE = vim.dvs.DistributedVirtualPortgroup
    prefix = "dvportgroup-"
    ports = 8

    def __init__(
        self, vcenter: ServiceHub, name: str, parent: Folder, switch: DistributedVirtualSwitch
    ) -> None:
        super().__init__(vcenter, name, parent)
        self.switch = switch
        self.key = self.moid
        switch.portgroup.append(self)

    @property
    def config(self) -> Any:
        return vim.dvs.DistributedVirtualPortgroup.ConfigInfo(
            key=self.key,
            name=self.name,
            numPorts=self.ports,
            distributedVirtualSwitch=self.switch.ref,
            type="earlyBinding",
            policy=vim.dvs.DistributedVirtualPortgroup.PortgroupPolicy(),
        )


def _switch_uuid() -> str:
    """As vCenter writes it: `50 0c 3f ... -9a 21 ...`."""
    digits = uuid.uuid4().hex
    pairs = [digits[at : at + 2] for at in range(0, 32, 2)]
    return " ".join(pairs[:8]) + "-" + " ".join(pairs[8:])
