# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The transport of each kind of disk description."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager

from bareos_vmsnap.transport.disks import DiskDescription, NbdDisk, Qcow2Disk, VddkDisk
from bareos_vmsnap.transport.endpoint import Endpoint

# Each module has serve(disk, *, writable) -> context manager of an Endpoint. Modules are imported
# when needed, since a transport may depend on what is not installed everywhere.
MODULES: dict[type, str] = {
    NbdDisk: "bareos_vmsnap.transport.plain_nbd",
    Qcow2Disk: "bareos_vmsnap.transport.qcow2",
    VddkDisk: "bareos_vmsnap.transport.vddk",
}


def open_endpoint(disk: DiskDescription, *, writable: bool) -> AbstractContextManager[Endpoint]:
    """Make a described disk reachable over NBD while the context lasts.

    Servers started for it end with the context and, if this process is killed, with the process.
    Call it in the main thread. Raises TransportError.
    """
    module = importlib.import_module(MODULES[type(disk)])
    served: AbstractContextManager[Endpoint] = module.serve(disk, writable=writable)
    return served
