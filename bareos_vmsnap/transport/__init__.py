# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How a disk of a snapshot becomes an NBD endpoint.

An endpoint description is a mapping that JSON can carry, with the key `transport`:

    {"transport": "nbd", "uri": "nbd+unix:///?socket=/run/disk.sock"}
    {"transport": "qcow2", "path": "/disks/leaf.qcow2", "readonly": true}
    {"transport": "vddk", "server": "vcenter.example.org", "vm": "vm-12", "snapshot": "snapshot-34",
     "path": "[datastore1] web1/web1-000001.vmdk", ...}   (see transport/vddk/description.py)

The key `slots` may be in all of them: what a connection counts for, see mover.slots.
A description may hold secrets, so it appears in no message, log or command line.
"""

from bareos_vmsnap.transport.endpoint import Endpoint, TransportError
from bareos_vmsnap.transport.registry import open_endpoint as open

__all__ = ["Endpoint", "TransportError", "open"]
