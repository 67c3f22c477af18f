# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From a disk of a VM in vSphere to the description of the NBD endpoint that serves it."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol
from urllib.parse import quote

from bareos_vmsnap.errors import VmsnapError

CURRENT = "current"
FIELDS = ("vm", "snapshot", "disk", "path")


class TemplateError(VmsnapError):
    """A URI template names a field there is none of, or misses one it needs."""

    id = "nbd-uri-malformed"


@dataclass(frozen=True)
class DiskAddress:
    """A disk in vSphere: morefs, device key and "[datastore] path". No snapshot: the leaf.

    `host` is the name of the ESXi host that the VM is on. With `single_link` the file alone is
    meant, without its parents.
    """

    vm: str
    disk: int
    path: str
    snapshot: Optional[str] = None
    host: str = ""
    single_link: bool = False

    @property
    def writable(self) -> bool:
        """Whether it is the leaf, which a restore writes."""
        return self.snapshot is None


class Access(Protocol):
    """A way to the data of disks; the result is what transport.open() takes."""

    @property
    def opens_single_links(self) -> bool:
        """Whether a delta's own file can be opened without its parents."""

    def endpoint(self, address: DiskAddress) -> dict[str, Any]:
        """The endpoint of that disk, as JSON values."""

    def relocation_disk(self, vm: str) -> Optional[dict[str, Any]]:
        """What hold.client.BlockProcess must know of that VM; None where its files cannot be held."""


@dataclass(frozen=True)
class NbdAccess:
    """An NBD server that something else runs; `template` is a URI with {vm}, {snapshot}, {disk}
    or {path} in it, filled in percent-encoded. The leaf's {snapshot} is "current". `link_template`
    is the same for a file alone, where there is one.
    """

    template: str
    link_template: str = ""

    def __post_init__(self) -> None:
        """Raises TemplateError."""
        for template in filter(None, (self.template, self.link_template)):
            _check(template)

    @property
    def opens_single_links(self) -> bool:
        """Where there is a template for it."""
        return bool(self.link_template)

    def endpoint(self, address: DiskAddress) -> dict[str, Any]:
        """The endpoint of that disk, as JSON values."""
        template = self.link_template if address.single_link else self.template
        uri = template.format(
            vm=quote(address.vm, safe=""),
            snapshot=quote(address.snapshot or CURRENT, safe=""),
            disk=address.disk,
            path=quote(address.path, safe=""),
        )
        return {"transport": "nbd", "uri": uri}

    def relocation_disk(self, vm: str) -> Optional[dict[str, Any]]:
        """Never."""
        return None


def _check(template: str) -> None:
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    except ValueError as error:
        raise TemplateError(f"the URI template {template!r} is malformed: {error}") from error
    unknown = sorted(name for name in named if name not in FIELDS)
    if unknown:
        known = ", ".join("{" + field + "}" for field in FIELDS)
        raise TemplateError(f"the URI template has {{{unknown[0]}}}; known are {known}")
    if not named & {"disk", "path"}:
        raise TemplateError("the URI template needs {disk} or {path}: it must tell disks apart")


@dataclass(frozen=True)
class Limits:
    """How many connections VDDK may have, and the directory in which they are counted."""

    directory: str
    vcenter: int
    host: int


@dataclass(frozen=True)
class VddkAccess:
    """VMware's VDDK: see transport.vddk for `settings`, the keys that all disks have in common.

    `thumbprint` is the SHA-1 of the certificate the session verified. `reading` and `writing` are
    VDDK's transport modes. A single ESXi host (not `is_vcenter`) is itself the host of all VMs.
    """

    server: str
    port: int
    user: str
    password: str = field(repr=False)
    thumbprint: str
    is_vcenter: bool
    reading: str
    writing: str
    limits: Limits
    settings: dict[str, Any]

    opens_single_links = True

    def endpoint(self, address: DiskAddress) -> dict[str, Any]:
        """The endpoint of that disk, as JSON values, with the password."""
        return {
            "transport": "vddk",
            "server": self.server,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "thumbprint": self.thumbprint,
            "vm": address.vm,
            "snapshot": address.snapshot,
            "path": address.path,
            "single_link": address.single_link,
            "transports": self.writing if address.writable else self.reading,
            "slots": self._slots(address),
            **self.settings,
        }

    def relocation_disk(self, vm: str) -> Optional[dict[str, Any]]:
        """Through a vCenter only: a single ESXi host has no Storage vMotion to forbid."""
        if not self.is_vcenter:
            return None
        return self.endpoint(DiskAddress(vm, 0, vm))

    def _slots(self, address: DiskAddress) -> list[dict[str, Any]]:
        """What the connections to this disk count for; see mover.slots."""
        server = f"{self.server}:{self.port}"
        host = address.host if self.is_vcenter and address.host else server
        slots = [_scope(0, f"ESXi host {host}", self.limits.host, self.limits)]
        if self.is_vcenter:
            slots.append(_scope(1, f"vCenter {server}", self.limits.vcenter, self.limits))
        return slots


def _scope(rank: int, name: str, limit: int, limits: Limits) -> dict[str, Any]:
    return {"rank": rank, "name": name, "limit": limit, "directory": limits.directory}
