# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Turns a disk of a VM in vSphere into the description that a transport opens."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from typing import Optional, Protocol
from urllib.parse import quote

from bareos_vmsnap.errors import VmsnapError
from bareos_vmsnap.transport.disks import ConnectionLimit, DiskDescription, NbdDisk, VddkDisk

CURRENT = "current"
FIELDS = ("vm", "snapshot", "disk", "path")


class TemplateError(VmsnapError):
    """A URI template has an unknown field, or lacks a necessary one."""

    id = "nbd-uri-malformed"


@dataclass(frozen=True)
class DiskAddress:
    """A disk in vSphere: morefs, device key and "[datastore] path". Without a snapshot, the leaf.

    `host` is the name of the VM's ESXi host. With `single_link`, only the file is meant, without
    its parents.
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
    """A way to access disks; describe() returns what transport.open() takes."""

    @property
    def opens_single_links(self) -> bool:
        """Whether a delta's own file can be opened without its parents."""

    def describe(self, address: DiskAddress) -> DiskDescription:
        """The description of this disk."""

    def relocation_disk(self, vm: str) -> Optional[VddkDisk]:
        """What the relocation block needs for this VM; None if relocations cannot be blocked."""


@dataclass(frozen=True)
class NbdAccess:
    """An NBD server that others run; `template` is a URI with {vm}, {snapshot}, {disk} or {path} in
    it, filled in percent-encoded. The leaf's {snapshot} is "current". `link_template`, if there is
    one, is the same for a single link.
    """

    template: str
    link_template: str = ""

    def __post_init__(self) -> None:
        """Raises TemplateError."""
        for template in filter(None, (self.template, self.link_template)):
            _check(template)

    @property
    def opens_single_links(self) -> bool:
        """Whether there is a template for it."""
        return bool(self.link_template)

    def describe(self, address: DiskAddress) -> NbdDisk:
        """The description of this disk."""
        template = self.link_template if address.single_link else self.template
        uri = template.format(
            vm=quote(address.vm, safe=""),
            snapshot=quote(address.snapshot or CURRENT, safe=""),
            disk=address.disk,
            path=quote(address.path, safe=""),
        )
        return NbdDisk(uri)

    def relocation_disk(self, vm: str) -> Optional[VddkDisk]:
        """None: it cannot block relocations."""
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
    try:
        # Empty braces, and what may follow a field's name, are only looked at here.
        template.format(vm="vm-1", snapshot=CURRENT, disk=2000, path="x")
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError) as error:
        raise TemplateError(f"the URI template {template!r} is malformed: {error}") from error


@dataclass(frozen=True)
class Limits:
    """How many connections VDDK may have, and the directory for counting them."""

    directory: str
    vcenter: int
    host: int


@dataclass(frozen=True)
class VddkAccess:
    """VMware's VDDK. `common` has what all disks share: server, login, settings.

    Its `thumbprint` is the SHA-1 of the certificate that the session verified. `reading` and
    `writing` are VDDK's transport modes. A single ESXi host (not `is_vcenter`) hosts all VMs.
    """

    common: VddkDisk
    is_vcenter: bool
    reading: str
    writing: str
    limits: Limits

    opens_single_links = True

    def describe(self, address: DiskAddress) -> VddkDisk:
        """The description of this disk, with the password."""
        return replace(
            self.common,
            vm=address.vm,
            snapshot=address.snapshot,
            path=address.path,
            single_link=address.single_link,
            transports=self.writing if address.writable else self.reading,
            limits=self._limits(address),
        )

    def relocation_disk(self, vm: str) -> Optional[VddkDisk]:
        """Only with a vCenter: a single ESXi host has no Storage vMotion to block."""
        if not self.is_vcenter:
            return None
        return self.describe(DiskAddress(vm, 0, vm))

    def _limits(self, address: DiskAddress) -> tuple[ConnectionLimit, ...]:
        """The limits that connections to this disk count towards."""
        server = f"{self.common.server}:{self.common.port}"
        host = address.host if self.is_vcenter and address.host else server
        directory = self.limits.directory
        of_host = ConnectionLimit(0, f"ESXi host {host}", self.limits.host, directory)
        if not self.is_vcenter:
            return (of_host,)
        return of_host, ConnectionLimit(1, f"vCenter {server}", self.limits.vcenter, directory)
