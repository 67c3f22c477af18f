# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where a VM lives: what its configuration is checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import datastore_files, faults
from vmsnap_lab.vcenter.inventory.datacenters import Datacenter
from vmsnap_lab.vcenter.world import World


@dataclass
class Site:
    """home: folder of the configuration file, `[datastore1] vm`. base: its name, `vm`."""

    vcenter: World
    datacenter: Optional[Datacenter]
    home: str
    base: str
    running: bool

    def datastore(self, name: str) -> Any:
        """Raises InvalidDatastorePath for a datastore the datacenter does not have."""
        found = self.datacenter.find_datastore(name) if self.datacenter is not None else None
        if found is None:
            raise vim.fault.InvalidDatastorePath(
                datastorePath=f"[{name}]", name=name, msg=f"Invalid datastore path '[{name}]'."
            )
        return found

    def datastore_of(self, path: str) -> Any:
        return self.datastore(datastore_files.split(path)[0])

    def check_space(self, path: str) -> None:
        """Raises NoDiskSpace if the habits make the datastore a full one."""
        if datastore_files.split(path)[0] in self.vcenter.habits.full_datastores:
            raise faults.no_space(path)

    def network(self, device_name: str) -> Any:
        networks = self.datacenter.network if self.datacenter is not None else []
        return next((known for known in networks if known.name == device_name), None)

    def portgroup(self, key: str) -> Any:
        networks = self.datacenter.network if self.datacenter is not None else []
        return next((known for known in networks if getattr(known, "key", None) == key), None)
