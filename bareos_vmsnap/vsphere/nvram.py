# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The NVRAM file of a VM (UEFI variables, boot entries), over the datastore's HTTPS access."""

from __future__ import annotations

import http.client
from typing import Any, Optional
from urllib.parse import urlsplit

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import inventory
from bareos_vmsnap.vsphere.session import Session

MAX_SIZE = 4 * 1024 * 1024  # bytes; real ones are 8 KiB (BIOS) to about 270 KiB (UEFI)
_TIMEOUT = 60  # seconds


class NvramError(errors.VmsnapError):
    """The NVRAM file could not be read or written."""


def path_of(vm: Any) -> Optional[str]:
    """The datastore path of the VM's NVRAM file, or None if it has none yet."""
    for file in (vm.layoutEx.file if vm.layoutEx else None) or []:
        if file.type == "nvram":
            return str(file.name)
    return None


def path_for(vm: Any) -> str:
    """Where the VM's NVRAM file is, or where vSphere will look for it."""
    existing = path_of(vm)
    if existing is not None:
        return existing
    for option in vm.config.extraConfig or []:
        if option.key == "nvram" and option.value:
            return str(vm.config.files.vmPathName.rsplit("/", 1)[0] + "/" + option.value)
    return str(vm.config.files.vmPathName[: -len(".vmx")] + ".nvram")


def read(session: Session, vm: Any) -> Optional[bytes]:
    """The content of the VM's NVRAM file, or None if it has none. Raises NvramError."""
    path = path_of(vm)
    if path is None:
        return None
    status, reason, body = _request(session, "GET", path, _datacenter(vm), None)
    if status == 404:
        return None
    if status != 200:
        raise NvramError(
            f"The NVRAM file {path} cannot be read: HTTP {status} {reason}", id="nvram-unreadable"
        )
    return body


def write(session: Session, vm: Any, content: bytes) -> None:
    """Write the VM's NVRAM file; the VM must be powered off. Raises NvramError."""
    path = path_for(vm)
    status, reason, _ = _request(session, "PUT", path, _datacenter(vm), content)
    if status not in (200, 201):
        raise NvramError(
            f"The NVRAM file {path} cannot be written: HTTP {status} {reason}",
            id="nvram-unwritable",
        )


def _datacenter(vm: Any) -> Optional[str]:
    dc, _ = inventory.location(vm)
    return inventory.datacenter_path(dc)


def _request(
    session: Session, method: str, path: str, dc: Optional[str], content: Optional[bytes]
) -> tuple[int, str, bytes]:
    """Send a request, and again after a new login: the session may expire just before it."""
    answer = _request_once(session, method, path, dc, content)
    return _request_once(session, method, path, dc, content) if answer[0] == 401 else answer


def _request_once(
    session: Session, method: str, path: str, dc: Optional[str], content: Optional[bytes]
) -> tuple[int, str, bytes]:
    server = session.server
    url = urlsplit(inventory.datastore_url(server.host, server.port, path, dc))
    session.ensure()
    connection = http.client.HTTPSConnection(
        server.host, server.port, timeout=_TIMEOUT, context=server.tls_context()
    )
    try:
        headers = {"Cookie": session.cookie.split(";", 1)[0]}
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        connection.request(method, f"{url.path}?{url.query}", content, headers)
        answer = connection.getresponse()
        body = answer.read(MAX_SIZE + 1)
        if len(body) > MAX_SIZE:
            raise NvramError(
                f"The NVRAM file {path} is larger than {MAX_SIZE} bytes", id="nvram-too-large"
            )
        return answer.status, answer.reason, body
    except (OSError, http.client.HTTPException) as error:
        raise NvramError(
            f"The NVRAM file {path}: {method} failed: {error}", id="nvram-unreachable"
        ) from error
    finally:
        connection.close()
