# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""PrepareForAccess and EndAccess: who keeps vCenter from migrating a VM.

vCenter keeps it until EndAccess of the same identity, even if the process dies.
"""

from __future__ import annotations

from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vddk import login
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.library_messages import LibraryRequest
from vmsnap_lab.vddk.login import Address
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure

DISABLE, ENABLE, LICENSES = "Global.DisableMethods", "Global.EnableMethods", "Global.Licenses"


def prepare(
    vcenter: VCenter, address: Address, request: LibraryRequest, habits: VddkHabits
) -> None:
    """Raises VixFailure. The caller holds the vCenter's lock."""
    vm = _logged_in(vcenter, address, request, DISABLE)
    identity = request.fields["identity"]
    if vm.busy is not None and "relocate" in vm.busy.info.descriptionId.lower():
        raise VixFailure(VixError.FAIL, f"VixDiskLibVim: {vm.moid} is being migrated.")
    holders = vm.migration_disabled_by
    if identity in holders or (holders and habits.one_holder):
        warning = (
            "VixDiskLibVim: VMODL_TYPE_VIM_FAULT_METHOD_ALREADY_DISABLED_FAULT: RelocateVM_Task of "
            f"{vm.moid} is already disabled by {holders[0]}."
        )
        raise VixFailure(VixError.FAIL, *([warning] if habits.tells_already_disabled else []))
    holders.append(identity)


def end(vcenter: VCenter, address: Address, request: LibraryRequest) -> None:
    """Raises VixFailure. Who holds nothing may end all the same, to clean up."""
    vm = _logged_in(vcenter, address, request, ENABLE)
    holders = vm.migration_disabled_by
    if request.fields["identity"] in holders:
        holders.remove(request.fields["identity"])


def _logged_in(
    vcenter: VCenter, address: Address, request: LibraryRequest, privilege: str
) -> Machine:
    login.check_thumbprint(address, request.fields.get("thumbprint"))
    user, vm = login.check_vm(vcenter, address, request)
    if not vcenter.is_vcenter:
        raise VixFailure(
            VixError.NOT_SUPPORTED, "VDDK: HostAgent is not a vCenter, cannot disable svmotion."
        )
    for required in (privilege, LICENSES):
        if not vcenter.authorization.has(user, required, vm):
            raise VixFailure(
                VixError.HOST_USER_PERMISSIONS,
                f"VixDiskLibVim: Not authorized: {required} on {vm.moid}.",
            )
    return vm
