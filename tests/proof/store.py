# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a VM holds at this moment, read from the lab's models and its store: no API, no product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from pyVmomi import vim

from tests.proof import reference
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot

Contents = dict[int, bytearray]  # by device key


class Store:
    """Reads VMs of a lab. What a snapshot holds never changes, so it is read once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._read: dict[str, reference.Hardware] = {}

    def snapshots(self, moref: str) -> list[Snapshot]:
        """All, parents first, siblings as the API lists them."""
        return self._lab.guest(moref).vm.tree.all()

    def restored(self, moref: str) -> reference.Machine:
        """All of a VM, its snapshots as the API lists them."""
        return self._machine(moref, self.snapshots(moref), lambda snapshot: False)

    def tree(self, moref: str, left_out: Callable[[Snapshot], bool]) -> reference.Machine:
        """The VM with its snapshots in the order they were taken.

        Of a snapshot that is left out the parent stands in its place.
        """
        by_age = sorted(self.snapshots(moref), key=lambda snapshot: snapshot.id)
        return self._machine(moref, by_age, left_out)

    def _machine(
        self, moref: str, snapshots: list[Snapshot], left_out: Callable[[Snapshot], bool]
    ) -> reference.Machine:
        guest = self._lab.guest(moref)

        def shown(snapshot: Optional[Snapshot]) -> Optional[str]:
            while snapshot is not None and left_out(snapshot):
                snapshot = snapshot.parent
            return None if snapshot is None else snapshot.moid

        machine = reference.Machine(self.state(moref), nvram=guest.nvram())
        for snapshot in snapshots:
            if not left_out(snapshot):
                machine.snapshots[snapshot.moid] = reference.Taken(
                    snapshot.name,
                    snapshot.description,
                    shown(snapshot.parent),
                    self._frozen(guest, snapshot),
                    snapshot.nvram,
                )
        machine.current = shown(guest.vm.tree.current)
        return machine

    def state(self, moref: str) -> reference.Hardware:
        guest = self._lab.guest(moref)
        return _hardware(guest, guest.vm.live, None)

    def _frozen(self, guest: Guest, snapshot: Snapshot) -> reference.Hardware:
        known = self._read.get(snapshot.moid)
        if known is None:
            known = _hardware(guest, snapshot.frozen, snapshot.moid)
            self._read[snapshot.moid] = known
        return known


def _hardware(guest: Guest, config: Any, snapshot: Optional[str]) -> reference.Hardware:
    devices = config.hardware.device
    disks: Contents = {}
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualDisk):
            size = device.capacityInBytes or 0
            disks[device.key] = bytearray(guest.read(device.key, 0, size, snapshot=snapshot))
    nics = [each for each in devices if isinstance(each, vim.vm.device.VirtualEthernetCard)]
    hardware = config.hardware
    return reference.Hardware(hardware.numCPU, hardware.memoryMB, len(nics), disks)
