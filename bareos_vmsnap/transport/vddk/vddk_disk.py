# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The description of a disk that VDDK is to open, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from bareos_vmsnap.transport.endpoint import COMMON, TransportError, check_keys

MODES = ("nbdssl", "nbd", "hotadd", "san", "file")
COMPRESSIONS = ("none", "zlib", "fastlz", "skipz")

_REQUIRED = {
    "server": str,
    "port": int,
    "user": str,
    "password": str,
    "thumbprint": str,
    "vm": str,
    "path": str,
}
_OPTIONAL = {
    "snapshot": str,
    "transports": str,
    "compression": str,
    "libdir": str,
    "plugin": str,
    "settings": str,
    "single_link": bool,
    "debug": bool,
    "log": str,
}


@dataclass(frozen=True)
class VddkDisk:
    """What VDDK needs to know; `vm` and `snapshot` are managed object ids, `path` is
    "[datastore] folder/file.vmdk" as the snapshot's configuration has it.

    `thumbprint` is the SHA-1 of the server's certificate, `transports` VDDK's list of modes,
    `settings` lines for its configuration file, `log` a file that all messages go to.
    """

    server: str
    port: int
    user: str
    password: str
    thumbprint: str
    vm: str
    path: str
    snapshot: Optional[str] = None
    transports: str = "nbdssl:nbd"
    compression: str = "none"
    libdir: Optional[str] = None
    plugin: str = "vddk"
    settings: str = ""
    single_link: bool = False
    debug: bool = False
    log: Optional[str] = None

    def __repr__(self) -> str:
        return f"VddkDisk({self.vm}, {self.snapshot}, {self.path})"


def parse(description: Mapping[str, Any], *, writable: bool) -> VddkDisk:
    """Check a description. Raises TransportError; messages hold no secret.

    A disk of a snapshot, or one link alone, is never opened for writing, and SAN is not among the
    modes then: it cannot write the disks of a VM with snapshots.
    """
    check_keys(description, _REQUIRED, _OPTIONAL)
    given = {
        key: value for key, value in description.items() if key not in COMMON and value is not None
    }
    disk = VddkDisk(**given)
    if not disk.password or re.search(r"[\r\n\0]", disk.password):
        raise TransportError("transport vddk: the password is empty or has a line break in it")
    if not re.fullmatch(r"([0-9A-Fa-f]{2}:?){20}", disk.thumbprint):
        raise TransportError("transport vddk: thumbprint is no SHA-1 digest")
    if disk.compression not in COMPRESSIONS:
        raise TransportError(f"transport vddk: unknown compression {disk.compression}")
    modes = disk.transports.split(":")
    if not set(modes) <= set(MODES):
        raise TransportError(f"transport vddk: {disk.transports} has a mode VDDK does not know")
    if writable:
        if disk.snapshot or disk.single_link:
            raise TransportError(f"transport vddk: {disk.path} of a snapshot is not for writing")
        if "san" in modes:
            raise TransportError("transport vddk: SAN cannot write a VM with snapshots")
    return disk
