# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Descriptions of disks that a transport can make reachable over NBD (standard library only).

They are made in bareos-fd and used in the processes that it starts. They may hold secrets, so they
never appear in a message, log or command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Optional, Union, get_args

# VDDK's transport modes that can be requested, and its compressions.
MODES = ("nbdssl", "nbd", "hotadd", "san")
VddkCompression = Literal["none", "zlib", "fastlz", "skipz"]
COMPRESSIONS: tuple[VddkCompression, ...] = get_args(VddkCompression)
COMPRESSION: Final = "none"
PLUGIN = "vddk"  # nbdkit's plugin, by its name
READING_MODES = "nbdssl:nbd"
WRITING_MODES = "nbdssl:nbd:hotadd"


def writing_modes(modes: str) -> str:
    """The modes of a list that can write. SAN cannot write disks of a VM with snapshots."""
    return ":".join(mode for mode in modes.split(":") if mode != "san")


@dataclass(frozen=True, order=True)
class ConnectionLimit:
    """The most connections that a vCenter or an ESXi host takes.

    `rank` is the order in which limits are taken, `name` is for people, and unique; `directory` is
    where connections are counted, see mover.child.slots.
    """

    rank: int
    name: str
    limit: int
    directory: str


@dataclass(frozen=True)
class NbdDisk:
    """A disk that others' NBD server serves; `connections`: the most it takes at a time."""

    uri: str = field(repr=False)
    connections: Optional[int] = None
    limits: tuple[ConnectionLimit, ...] = ()
    transport: Literal["nbd"] = "nbd"


@dataclass(frozen=True)
class Qcow2Disk:
    """A local image with its backing chain; `path` is absolute."""

    path: str
    readonly: bool = False
    format: str = "qcow2"
    limits: tuple[ConnectionLimit, ...] = ()
    transport: Literal["qcow2"] = "qcow2"


@dataclass(frozen=True)
class VddkDisk:
    """What VDDK needs to know; `vm` and `snapshot` are managed object ids, `path` is
    "[datastore] folder/file.vmdk" as the snapshot's configuration has it.

    `thumbprint` is the SHA-1 of the server's certificate, `transports` VDDK's list of modes,
    `settings` lines for its configuration file, `log` a file for all messages. With `single_link`,
    only the file is meant, without its parents.
    """

    server: str
    port: int
    user: str
    password: str = field(repr=False)
    thumbprint: str
    vm: str = ""
    path: str = ""
    snapshot: Optional[str] = None
    transports: str = READING_MODES
    compression: VddkCompression = COMPRESSION
    libdir: Optional[str] = None
    plugin: str = PLUGIN
    settings: str = ""
    single_link: bool = False
    debug: bool = False
    log: Optional[str] = None
    limits: tuple[ConnectionLimit, ...] = ()
    transport: Literal["vddk"] = "vddk"


DiskDescription = Union[NbdDisk, Qcow2Disk, VddkDisk]
