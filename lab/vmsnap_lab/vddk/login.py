# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who may connect, and to which VM and snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

from vmsnap_lab.vcenter.vcenter import VCenter
from vmsnap_lab.vcenter.vm.machine import Machine
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot
from vmsnap_lab.vddk.library_messages import LibraryRequest
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure

READ = "VirtualMachine.Provisioning.DiskRandomRead"
WRITE = "VirtualMachine.Provisioning.DiskRandomAccess"
HTTPS = 443
_COOKIE = "vmware_soap_session="


class Address(NamedTuple):
    """Where the vCenter listens, and the SHA-1 of its certificate."""

    host: str
    port: int
    thumbprint: str


@dataclass(frozen=True)
class Login:
    """The arguments of ConnectEx, checked."""

    user: str
    vm: Machine
    snapshot: Optional[Snapshot]
    read_only: bool


def check(vcenter: VCenter, address: Address, request: LibraryRequest) -> Login:
    """Raises VixFailure. The caller holds the vCenter's lock."""
    user, vm = check_vm(vcenter, address, request)
    snapshot = _find_snapshot(vcenter, vm, request.fields.get("snapshot"))
    read_only = request.number("read_only") != 0
    privilege = READ if read_only else WRITE
    if not vcenter.authorization.has(user, privilege, vm):
        raise VixFailure(
            VixError.HOST_USER_PERMISSIONS,
            f"VixDiskLibVim: Not authorized: {privilege} on {vm.moid}.",
        )
    return Login(user, vm, snapshot, read_only)


def check_vm(vcenter: VCenter, address: Address, request: LibraryRequest) -> tuple[str, Machine]:
    """The user and the VM. Raises VixFailure. The caller holds the vCenter's lock."""
    _check_server(address, request)
    return _authenticate(vcenter, request), _find_vm(vcenter, request.fields["vm"])


def check_thumbprint(address: Address, thumbprint: Optional[str]) -> None:
    """A wrong one is only noticed by Open, as an "Unknown error". Raises VixFailure."""
    if thumbprint is None or thumbprint.upper() != address.thumbprint.upper():
        raise VixFailure(VixError.FAIL)


def _check_server(address: Address, request: LibraryRequest) -> None:
    server, port = request.fields["server"], request.number("port") or HTTPS
    if server not in (address.host, "localhost"):
        raise VixFailure(
            VixError.HOST_SERVER_NOT_FOUND, f"VixDiskLib: Host address lookup for {server} failed."
        )
    if port != address.port:
        raise VixFailure(
            VixError.CANNOT_CONNECT_TO_HOST,
            f"CnxOpenTCPSocket: Cannot connect to server {server}:{port}: Connection refused",
        )


def _authenticate(vcenter: VCenter, request: LibraryRequest) -> str:
    """The user's name."""
    sessions = vcenter.sessions
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


def _find_vm(vcenter: VCenter, spec: str) -> Machine:
    name, _, moid = spec.partition("=")
    if name != "moref":
        raise VixFailure(
            VixError.INVALID_ARG, f"VixDiskLib: Cannot use the VM specification {spec}."
        )
    vm = vcenter.objects.get(moid)
    if not isinstance(vm, Machine):
        raise VixFailure(
            VixError.VM_NOT_FOUND,
            f"VixDiskLibVim: Failed to find the VM {moid}: ManagedObjectNotFound.",
        )
    return vm


def _find_snapshot(vcenter: VCenter, vm: Machine, moid: Optional[str]) -> Optional[Snapshot]:
    if moid is None:
        return None
    found = vcenter.objects.get(moid)
    if not isinstance(found, Snapshot) or found.vm is not vm:
        raise VixFailure(
            VixError.SNAPSHOT_NOTFOUND, f"VixDiskLibVim: {vm.moid} has no snapshot {moid}."
        )
    return found
