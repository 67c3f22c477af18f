# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Folders of virtual machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from pyVmomi import vim

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.inventory.folders import Folder
from vmsnap_lab.vcenter.managed import operation
from vmsnap_lab.vcenter.vm import creation, registration

if TYPE_CHECKING:
    from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool
    from vmsnap_lab.vcenter.services.call import Call


class VmFolder(Folder):
    holds = (vim.Folder, vim.VirtualMachine, vim.VirtualApp)
    prefix = "group-v"

    @operation("CreateVM_Task")
    def create_vm_task(
        self, call: Call, spec: Any, pool: ResourcePool, host: Optional[HostSystem]
    ) -> Any:
        creation.check_privileges(call, self, pool, spec)
        return call.start(
            self, lambda task: creation.create(self, spec, pool, host, user=call.user)
        )

    @operation("RegisterVM_Task")
    def register_vm_task(
        self,
        call: Call,
        path: str,
        name: Optional[str],
        as_template: bool,
        pool: Optional[ResourcePool],
        host: Optional[HostSystem],
    ) -> Any:
        if pool is None and not as_template:
            raise faults.invalid_argument("pool", "A virtual machine needs a resource pool")
        return call.start(
            self,
            lambda task: registration.register(
                self, path, name, as_template, pool, host, user=call.user
            ),
        )
