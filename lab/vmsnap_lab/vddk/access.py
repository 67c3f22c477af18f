# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PrepareForAccess and EndAccess: who keeps vCenter from migrating a VM.

What vCenter keeps is kept until EndAccess of the same identity, whatever becomes of the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmsnap_lab.vddk import login
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.vix import VixError, VixFailure
from vmsnap_lab.vddk.wire import Request

if TYPE_CHECKING:
    from vmsnap_lab.lab import Lab
    from vmsnap_lab.vcenter.vm.machine import VirtualMachine

DISABLE, ENABLE, LICENSES = "Global.DisableMethods", "Global.EnableMethods", "Global.Licenses"


def prepare(lab: Lab, request: Request, habits: VddkHabits) -> None:
    """Raises VixFailure. The lab's vCenter is locked by the caller."""
    vm = _logged_in(lab, request, DISABLE)
    identity = request.fields["identity"]
    if vm.busy is not None and "relocate" in vm.busy.info.descriptionId.lower():
        raise VixFailure(VixError.FAIL, f"VixDiskLibVim: {vm.moid} is being migrated.")
    holders = vm.migration_disabled_by
    if identity in holders or (holders and habits.one_holder):
        said = (
            "VixDiskLibVim: VMODL_TYPE_VIM_FAULT_METHOD_ALREADY_DISABLED_FAULT: RelocateVM_Task of "
            f"{vm.moid} is already disabled by {holders[0]}."
        )
        raise VixFailure(VixError.FAIL, *([said] if habits.tells_already_disabled else []))
    holders.append(identity)


def end(lab: Lab, request: Request) -> None:
    """Raises VixFailure. Who holds nothing may end all the same, to clean up."""
    vm = _logged_in(lab, request, ENABLE)
    holders = vm.migration_disabled_by
    if request.fields["identity"] in holders:
        holders.remove(request.fields["identity"])


def _logged_in(lab: Lab, request: Request, privilege: str) -> VirtualMachine:
    login.check_thumbprint(lab, request.fields.get("thumbprint"))
    user, vm = login.check_vm(lab, request)
    if not lab.vcenter.is_vcenter:
        raise VixFailure(
            VixError.NOT_SUPPORTED, "VDDK: HostAgent is not a vCenter, cannot disable svmotion."
        )
    for wanted in (privilege, LICENSES):
        if not lab.vcenter.authorization.has(user, wanted, vm):
            raise VixFailure(
                VixError.HOST_USER_PERMISSIONS,
                f"VixDiskLibVim: Not authorized: {wanted} on {vm.moid}.",
            )
    return vm
