# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From options to a session, a VM and a way to its disks."""

from __future__ import annotations

from typing import Any

from bareos_vmsnap import errors
from bareos_vmsnap.fd import options
from bareos_vmsnap.transport import access
from bareos_vmsnap.vsphere import inventory, session


def connect(chosen: options.Options) -> session.Session:
    """Log in. Raises errors.OptionError, session.CannotConnect."""
    options.require_server(chosen)
    return session.Session(
        session.Server(
            host=chosen.vcserver,
            port=chosen.vcport,
            user=chosen.vcuser,
            password=chosen.vcpass,
            ca_file=chosen.ca_file,
            thumbprint=chosen.vcthumbprint,
            verify=chosen.verifyssl,
        )
    )


def find_vm(content: Any, chosen: options.Options) -> Any:
    """The VM to back up. Raises errors.OptionError, inventory.NotFound."""
    options.require_vm(chosen)
    if chosen.uuid:
        return inventory.by_uuid(content, chosen.uuid)
    return inventory.virtual_machine(content, chosen.dc, chosen.folder, chosen.vmname)


def disk_access(chosen: options.Options) -> access.Access:
    """How disks are reached. Raises errors.OptionError."""
    try:
        return access.NbdAccess(chosen.nbd_uri)
    except access.BadTemplate as error:
        raise errors.OptionError(f"Plugin option nbd_uri: {error}") from error
