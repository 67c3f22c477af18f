# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What clients can do with folders of VMs, and with vApps themselves."""

from __future__ import annotations

from typing import Any, Optional

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.inventory.compute import HostSystem, ResourcePool, VirtualApp
from vmsnap_lab.vcenter.inventory.folders import VmFolder
from vmsnap_lab.vcenter.managed import operation_of
from vmsnap_lab.vcenter.services.call import Call
from vmsnap_lab.vcenter.vm import creation, registration


@operation_of(VmFolder, "CreateVM_Task")
def create_vm(
    folder: VmFolder, call: Call, spec: Any, pool: ResourcePool, host: Optional[HostSystem]
) -> Any:
    creation.check_privileges(call, folder, pool, spec)
    return call.start(
        folder, lambda task: creation.create(folder, spec, pool, host, user=call.user)
    )


@operation_of(VirtualApp, "CreateChildVM_Task")
def create_child_vm(vapp: VirtualApp, call: Call, spec: Any, host: Optional[HostSystem]) -> Any:
    creation.check_privileges(call, vapp, vapp, spec)
    return call.start(vapp, lambda task: creation.create(None, spec, vapp, host, user=call.user))


@operation_of(VmFolder, "RegisterVM_Task")
def register_vm(
    folder: VmFolder,
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
        folder,
        lambda task: registration.register(
            folder, path, name, as_template, pool, host, user=call.user
        ),
    )
