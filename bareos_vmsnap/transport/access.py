# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From a disk of a VM in vSphere to the description of the NBD endpoint that serves it."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any, Optional, Protocol
from urllib.parse import quote

CURRENT = "current"
FIELDS = ("vm", "snapshot", "disk", "path")


class BadTemplate(ValueError):
    """A URI template names a field there is none of, or misses one it needs."""


@dataclass(frozen=True)
class DiskAddress:
    """A disk in vSphere: morefs, device key and "[datastore] path". No snapshot: the leaf."""

    vm: str
    disk: int
    path: str
    snapshot: Optional[str] = None


class Access(Protocol):
    """A way to the data of disks; the result is what transport.open() takes."""

    def endpoint(self, address: DiskAddress) -> dict[str, Any]:
        """The endpoint of that disk, as JSON values."""


@dataclass(frozen=True)
class NbdAccess:
    """An NBD server that something else runs; `template` is a URI with {vm}, {snapshot}, {disk}
    or {path} in it, filled in percent-encoded. The leaf's {snapshot} is "current".
    """

    template: str

    def __post_init__(self) -> None:
        """Raises BadTemplate."""
        try:
            named = {name for _, name, _, _ in string.Formatter().parse(self.template) if name}
        except ValueError as error:
            raise BadTemplate(
                f"the URI template {self.template!r} is malformed: {error}"
            ) from error
        unknown = sorted(name for name in named if name not in FIELDS)
        if unknown:
            known = ", ".join("{" + field + "}" for field in FIELDS)
            raise BadTemplate(f"the URI template has {{{unknown[0]}}}; known are {known}")
        if not named & {"disk", "path"}:
            raise BadTemplate("the URI template needs {disk} or {path}: it must tell disks apart")

    def endpoint(self, address: DiskAddress) -> dict[str, Any]:
        """The endpoint of that disk, as JSON values."""
        uri = self.template.format(
            vm=quote(address.vm, safe=""),
            snapshot=quote(address.snapshot or CURRENT, safe=""),
            disk=address.disk,
            path=quote(address.path, safe=""),
        )
        return {"transport": "nbd", "uri": uri}
