# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who may connect, and to which VM and snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from vmsnap_lab.vcenter.vm.machine import VirtualMachine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot
from vmsnap_lab.vddk.vix import VixError, VixFailure
from vmsnap_lab.vddk.wire import Request

if TYPE_CHECKING:
    from vmsnap_lab.lab import Lab

READ = "VirtualMachine.Provisioning.DiskRandomRead"
WRITE = "VirtualMachine.Provisioning.DiskRandomAccess"
HTTPS = 443
_COOKIE = "vmware_soap_session="


@dataclass(frozen=True)
class Login:
    """What ConnectEx was given and found good."""

    user: str
    vm: VirtualMachine
    snapshot: Optional[Snapshot]
    read_only: bool


def check(lab: Lab, request: Request) -> Login:
    """Raises VixFailure. The lab's vCenter is locked by the caller."""
    user, vm = check_vm(lab, request)
    snapshot = _find_snapshot(lab, vm, request.fields.get("snapshot"))
    read_only = request.number("read_only") != 0
    privilege = READ if read_only else WRITE
    if not lab.vcenter.authorization.has(user, privilege, vm):
        raise VixFailure(
            VixError.HOST_USER_PERMISSIONS,
            f"VixDiskLibVim: Not authorized: {privilege} on {vm.moid}.",
        )
    return Login(user, vm, snapshot, read_only)


def check_vm(lab: Lab, request: Request) -> tuple[str, VirtualMachine]:
    """The user and the VM. Raises VixFailure. The lab's vCenter is locked by the caller."""
    _check_server(lab, request)
    return _authenticate(lab, request), _find_vm(lab, request.fields["vm"])


def check_thumbprint(lab: Lab, given: Optional[str]) -> None:
    """A wrong one is noticed late, and told badly: "Unknown error", by Open. Raises VixFailure."""
    if given is None or given.upper() != lab.thumbprint.upper():
        raise VixFailure(VixError.FAIL)


def _check_server(lab: Lab, request: Request) -> None:
    server, port = request.fields["server"], request.number("port") or HTTPS
    if server not in (lab.host, "localhost"):
        raise VixFailure(
            VixError.HOST_SERVER_NOT_FOUND, f"VixDiskLib: Host address lookup for {server} failed."
        )
    if port != lab.port:
        raise VixFailure(
            VixError.CANNOT_CONNECT_TO_HOST,
            f"CnxOpenTCPSocket: Cannot connect to server {server}:{port}: Connection refused",
        )


def _authenticate(lab: Lab, request: Request) -> str:
    """The user's name."""
    sessions = lab.vcenter.sessions
    cookie = request.fields.get("cookie")
    if cookie is None:
        user = request.fields.get("user", "")
        if not sessions.is_password(user, request.fields.get("password", "")):
            raise VixFailure(
                VixError.HOST_USER_PERMISSIONS, "VixDiskLibVim: Login failure: InvalidLogin."
            )
        return user
    value = cookie.partition(_COOKIE)[2] if _COOKIE in cookie else cookie
    session = sessions.find(value.partition(";")[0].strip().strip('"'))
    if session is None:
        raise VixFailure(
            VixError.HOST_USER_PERMISSIONS, "VixDiskLibVim: Login failure: NotAuthenticated."
        )
    return session.user


def _find_vm(lab: Lab, spec: str) -> VirtualMachine:
    name, _, moid = spec.partition("=")
    if name != "moref":
        raise VixFailure(
            VixError.INVALID_ARG, f"VixDiskLib: Cannot use the VM specification {spec}."
        )
    vm = lab.vcenter.objects.get(moid)
    if not isinstance(vm, VirtualMachine):
        raise VixFailure(
            VixError.VM_NOT_FOUND,
            f"VixDiskLibVim: Failed to find the VM {moid}: ManagedObjectNotFound.",
        )
    return vm


def _find_snapshot(lab: Lab, vm: VirtualMachine, moid: Optional[str]) -> Optional[Snapshot]:
    if moid is None:
        return None
    found = lab.vcenter.objects.get(moid)
    if not isinstance(found, Snapshot) or found.vm is not vm:
        raise VixFailure(
            VixError.SNAPSHOT_NOTFOUND, f"VixDiskLibVim: {vm.moid} has no snapshot {moid}."
        )
    return found
