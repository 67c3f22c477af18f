# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VirtualMachine: a VM as clients see it."""

from __future__ import annotations

import copy
from typing import Any

from pyVmomi import vim

from vmsnap_lab.vcenter.vm import files, layout, nics, rendering, status
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot


class VirtualMachine(Machine):
    """The properties of a VM; what clients can do with it is in `vcenter.operations`."""

    @property
    def config(self) -> Any:
        return rendering.rendered(self.vcenter, self.moid, self.live)

    @property
    def capability(self) -> Any:
        return status.capability(self)

    @property
    def runtime(self) -> Any:
        return status.runtime(self)

    @property
    def summary(self) -> Any:
        return status.summary(self)

    @property
    def guest(self) -> Any:
        return status.guest(self)

    @property
    def layoutEx(self) -> Any:
        return layout.layout_ex(self)

    @property
    def layout(self) -> Any:
        return layout.layout(self)

    @property
    def storage(self) -> Any:
        return layout.storage(self)

    @property
    def snapshot(self) -> Any:
        return self.tree.describe()

    @property
    def disabledMethod(self) -> list[Any]:
        return [vim.VirtualMachine.Relocate] if self.migration_disabled_by else []

    @property
    def rootSnapshot(self) -> list[Snapshot]:
        return list(self.tree.roots)

    @property
    def network(self) -> list[Any]:
        site = self.site()
        found = [
            nics.network_of(site, device)
            for device in self.live.hardware.device
            if nics.is_nic(device)
        ]
        return list(dict.fromkeys(network for network in found if network is not None))

    def rename(self, name: str) -> None:
        with self.vcenter.lock:
            super().rename(name)
            renamed = copy.copy(self.live)
            renamed.name = self.name
            self.replace_config(renamed)
            files.write_config(self)
