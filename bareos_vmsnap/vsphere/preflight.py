# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Checks that a VM can be backed up with its snapshots, before anything is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from pyVmomi import vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import disks, inventory, markers, snapshots

# vSphere allows 32 levels; the backup snapshot takes one, and a user may want one more.
MAX_DEPTH = 31
WARN_DEPTH = 27
PRIVILEGES = (
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.Provisioning.DiskRandomRead",
    "VirtualMachine.Provisioning.GetVmFiles",
)
# VDDK's PrepareForAccess and EndAccess need them, according to VMware's guide.
RELOCATION_BLOCK_PRIVILEGES = ("Global.DisableMethods", "Global.EnableMethods", "Global.Licenses")
# A job leaves a marker in the VM's configuration (see markers); without it, it does with less.
MARKER_PRIVILEGE = "VirtualMachine.Config.AdvancedConfig"
# On the datastore of the VM's configuration: the NVRAM file is read over its HTTPS access.
DATASTORE_PRIVILEGES = ("Datastore.Browse", "Datastore.FileManagement")


_SESSIONS = 3  # that may end while privileges are asked for


@dataclass
class Findings:
    """What the preflight found that does not prevent the backup."""

    warnings: list[errors.Notice] = field(default_factory=list)


def check(vm: Any, content: Any) -> Findings:
    """Examine the VM. Raises errors.PreflightError, naming every reason at once."""
    config, name = vm.config, vm.name
    if config is None:
        raise errors.PreflightError(
            f"VM {name} is not accessible ({vm.runtime.connectionState}): its configuration "
            "cannot be read",
            id="vm-inaccessible",
        )
    _refuse_incomplete(name)
    report = Findings()
    reasons = _vm_reasons(vm, config)
    for found in disks.find(config.hardware.device):
        if found.refused:
            reasons.append(f"{found} cannot be backed up: {found.refused}")
    for text in disks.left_out(config.hardware.device):
        report.warnings.append(errors.Notice("disk-skipped", f"VM {name}: {text}"))
    reasons += _privilege_reasons(vm, content)
    if reasons:
        raise errors.PreflightError(
            f"VM {name} cannot be backed up: " + "; ".join(reasons),
            todo="Nothing was changed on the VM. Mend what is named and run the job again",
            id="vm-unfit",
        )
    levels = snapshots.depth(vm)
    if levels >= WARN_DEPTH:
        text = f"VM {name} has {levels} snapshot levels; vSphere allows 32 and the backup needs one"
        report.warnings.append(errors.Notice("snapshot-depth", text))
    if vm.runtime.consolidationNeeded:
        text = (
            f"VM {name}: vSphere says its disks need consolidation (an earlier deletion of a "
            "snapshot did not finish)"
        )
        report.warnings.append(errors.Notice("consolidation-needed", text))
    return report


def tracking_warning(vm: Any) -> Optional[errors.Notice]:
    """Why changed block tracking cannot help with this VM, or None if it is on."""
    if not vm.capability.changeTrackingSupported:
        text = f"VM {vm.name} does not support changed block tracking (hardware version < 7?)"
        return errors.Notice("cbt-unsupported", text)
    if not vm.config.changeTrackingEnabled:
        return errors.Notice("cbt-off", f"Changed block tracking is off for VM {vm.name}")
    return None


def marker_warning(vm: Any, content: Any) -> Optional[errors.Notice]:
    """Why a job cannot leave its marker in the VM, or None if it can, or a single host is asked.

    A host has no AuthorizationManager call for this and only refuses.
    """
    if content.about.apiType != "VirtualCenter" or not _lacking(content, [vm], [MARKER_PRIVILEGE]):
        return None
    return no_marker(vm, content)


def no_marker(vm: Any, content: Any) -> errors.Notice:
    """That the privilege for the marker is missing."""
    user = content.sessionManager.currentSession.userName
    text = (
        f"The user {user} lacks the privilege {MARKER_PRIVILEGE}, so that jobs can leave no marker "
        f"in VM {vm.name}: only vCenter's event history tells the next job whether the VM was "
        "reverted since"
    )
    return errors.Notice("marker-privilege", text)


def relocation_privileges(vm: Any, content: Any) -> list[str]:
    """The privileges the user lacks to have vCenter refuse migrations of the VM; vCenter only."""
    return _lacking(content, [vm], RELOCATION_BLOCK_PRIVILEGES)


def _refuse_incomplete(name: str) -> None:
    """A restore gives the VM its old UUID and goes by the name only when it has ended.

    The restore's mark in the VM's configuration proves less: a revert to a restored snapshot brings
    it into a complete VM.
    """
    plain = inventory.plain_name(name)
    if plain.endswith(markers.INCOMPLETE):
        raise errors.PreflightError(
            f"VM {plain} is the rest of a restore that is running or has failed: a backup of it "
            "would take the place of the real VM's",
            left="nothing, the VM was not touched",
            todo="Wait for the restore to end, or restore the VM again. If you have completed this "
            "one by other means, give it another name",
            id="vm-incomplete",
        )


def _vm_reasons(vm: Any, config: Any) -> list[str]:
    reasons = []
    if config.template:
        reasons.append("it is a template, of which vSphere takes no snapshots")
    if not vm.capability.snapshotOperationsSupported:
        reasons.append("vSphere does not support snapshots of it")
    if snapshots.depth(vm) >= MAX_DEPTH:
        reasons.append("it has as many snapshot levels as vSphere allows, none is left for ours")
    return reasons


def _privilege_reasons(vm: Any, content: Any) -> list[str]:
    """Privileges the user lacks. A single ESXi host has no AuthorizationManager call for this."""
    if content.about.apiType != "VirtualCenter":
        return []
    store, _ = inventory.datastore_path(vm.config.files.vmPathName)
    homes = [datastore for datastore in vm.datastore if datastore.name == store]
    lacking = [
        *_lacking(content, [vm], PRIVILEGES),
        *(
            f"{name} on datastore {store}"
            for name in _lacking(content, homes, DATASTORE_PRIVILEGES)
        ),
    ]
    user = content.sessionManager.currentSession.userName
    return [f"the user {user} lacks the privilege {name}" for name in lacking]


def _lacking(content: Any, entities: list[Any], required: Sequence[str]) -> list[str]:
    answer = _privileges(content, entities, required)
    return [p.privId for each in answer for p in each.privAvailability if not p.isGranted]


def _privileges(content: Any, entities: list[Any], required: Sequence[str]) -> Any:
    """Asked again if the session ends between the question for its key and this one."""
    left = _SESSIONS
    while True:
        left -= 1
        key = content.sessionManager.currentSession.key
        try:
            return content.authorizationManager.HasPrivilegeOnEntities(
                entities, key, list(required)
            )
        except vmodl.fault.InvalidArgument as fault:
            if fault.invalidProperty != "sessionId" or not left:
                raise
