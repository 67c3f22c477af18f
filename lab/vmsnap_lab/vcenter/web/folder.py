# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Datastore files over HTTPS: `/folder/vm/vm.nvram?dcPath=Datacenter&dsName=datastore1`.

Not simulated: ranges, uploads in chunks, and disks, of which nothing is served or taken.
"""

from __future__ import annotations

import html
from http import HTTPStatus
from typing import Any, NamedTuple, Optional
from urllib.parse import quote, urlencode

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.inventory.file_manager import PRIVILEGE
from vmsnap_lab.vcenter.vcenter import VCenter

BROWSE = "Datastore.Browse"


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    headers: Optional[dict[str, str]] = None


_CHALLENGE = Reply(
    HTTPStatus.UNAUTHORIZED, b"", {"WWW-Authenticate": 'Basic realm="VMware HTTP server"'}
)


def answer(
    vcenter: VCenter,
    method: str,
    inner: str,
    query: dict[str, str],
    user: Optional[str],
    body: bytes,
) -> Reply:
    """The reply to a request for the file `inner` of a datastore."""
    if user is None:
        return _CHALLENGE
    try:
        with vcenter.lock:
            return _answer(vcenter, method, inner, query, user, body)
    except (vim.fault.FileNotFound, vim.fault.InvalidDatastore) as fault:
        return Reply(HTTPStatus.NOT_FOUND, fault.msg.encode())
    except (vim.fault.NoPermission, vmodl.fault.NotSupported) as fault:
        return Reply(HTTPStatus.FORBIDDEN, fault.msg.encode())
    except vim.fault.FileFault as fault:
        return Reply(HTTPStatus.CONFLICT, fault.msg.encode())
    except (StorageError, OSError) as error:
        return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, str(error).encode())


def _answer(
    vcenter: VCenter, method: str, inner: str, query: dict[str, str], user: str, body: bytes
) -> Reply:
    datacenter_path = query.get("dcPath")
    datacenter: Any = None
    if datacenter_path is not None:
        datacenter = vcenter.find_datacenter(datacenter_path)
        if datacenter is None:
            return Reply(HTTPStatus.NOT_FOUND, f"There is no {datacenter_path}".encode())
    elif vcenter.is_vcenter:
        names = [vcenter.path_of(known) for known in vcenter.datacenters()]
        return _listing([(name, urlencode({"dcPath": name})) for name in names])
    else:
        datacenter = vcenter.datacenters()[0]
    name = query.get("dsName")
    if name is None:
        stores = [store.name for store in datacenter.datastore]
        path = vcenter.path_of(datacenter)
        return _listing([(s, urlencode({"dcPath": path, "dsName": s})) for s in stores])
    datastore = datacenter.find_datastore(name)
    if datastore is None:
        return Reply(HTTPStatus.NOT_FOUND, f"There is no datastore {name}".encode())
    path = datastore_files.join(name, inner)
    listing = method in ("GET", "HEAD") and vcenter.files.is_folder(path)
    privilege = BROWSE if listing else PRIVILEGE
    if not vcenter.authorization.has(user, privilege, datastore):
        return Reply(HTTPStatus.FORBIDDEN, f"{privilege} is missing".encode())
    if listing:
        return _folder(vcenter, path, query)
    return _file(vcenter, method, path, body)


def _file(vcenter: VCenter, method: str, path: str, body: bytes) -> Reply:
    if method in ("GET", "HEAD"):
        content = vcenter.files.read(path)
        return Reply(HTTPStatus.OK, content, {"Content-Type": "application/octet-stream"})
    if method == "PUT":
        status = HTTPStatus.OK if vcenter.files.exists(path) else HTTPStatus.CREATED
        vcenter.files.write(path, body)
        return Reply(status)
    vcenter.file_manager.delete(path)
    return Reply(HTTPStatus.NO_CONTENT)


def _folder(vcenter: VCenter, path: str, query: dict[str, str]) -> Reply:
    entries = []
    for entry in vcenter.files.list(path):
        _, inner = datastore_files.split(entry.path)
        name = entry.name + ("/" if entry.is_folder else "")
        entries.append((name, f"/folder/{quote(inner)}?{urlencode(query)}"))
    return _listing(entries)


def _listing(entries: list[Any]) -> Reply:
    """An index page: names with links."""
    rows = "".join(
        f'<tr><td><a href="{html.escape(target if target.startswith("/") else "/folder?" + target)}">'
        f"{html.escape(name)}</a></td></tr>"
        for name, target in entries
    )
    page = f"<html><body><table>{rows}</table></body></html>"
    return Reply(HTTPStatus.OK, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
