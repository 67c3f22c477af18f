# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Descriptions of disks in a lab for transport vddk, and connections to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyVmomi import vim

from bareos_vmsnap import transport
from bareos_vmsnap.mover.child.nbd_connection import Connection
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.vsphere import disks
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import plugin

MIB = 1 << 20
SECRET = "Gartenzwerg&<9>%41:ü"
# A datastore folder and files with all that is awkward in names.
NAME = "wéb [1] 升级, copy"


def described(lab: Lab, guest: Guest, *, leaf: bool = False, **changed: Any) -> VddkDisk:
    vm: Any = vim.VirtualMachine(guest.moref, lab.connect()._stub)
    root: Any = vm.snapshot.rootSnapshotList[0].snapshot
    at: Any = vm if leaf else root
    [disk] = disks.find(at.config.hardware.device)
    whole = VddkDisk(
        server=lab.host,
        port=lab.port,
        user=lab.user,
        password=lab.password,
        thumbprint=lab.thumbprint,
        vm=guest.moref,
        snapshot=None if leaf else root._moId,
        path=disk.disk.path,
        libdir=str(lab.vddk.libdir),
        plugin=plugin.find() or "vddk",
    )
    return replace(whole, **changed)


@contextmanager
def opened(disk: VddkDisk, *, writable: bool = False) -> Iterator[Connection]:
    with transport.open(disk, writable=writable) as endpoint:
        connection = Connection(endpoint, request=2 * MIB)
        yield connection
        connection.close()


def read(connection: Connection, place: int, length: int) -> bytes:
    content = bytearray(length)
    connection.finish(connection.start_read(memoryview(content), place))
    return bytes(content)
