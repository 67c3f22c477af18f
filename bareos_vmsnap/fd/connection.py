# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From options to a session, a VM and a way to its disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap import errors
from bareos_vmsnap.fd import options
from bareos_vmsnap.fd.disk_log import DiskLog
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


def disk_access(
    chosen: options.Options, logged_in: session.Session, directory: Path, job: str
) -> access.Access:
    """How disks are reached. `directory` is the working directory of the file daemon, `job` the
    unique name of the job. Raises errors.OptionError.
    """
    if not chosen.through_vddk:
        try:
            return access.NbdAccess(chosen.nbd_uri, chosen.nbd_link_uri)
        except access.BadTemplate as error:
            raise errors.OptionError(f"Plugin option nbd_uri: {error}") from error
    slots = chosen.vddk_slots or str(directory / "bareos-vmsnap-slots")
    return access.VddkAccess(
        server=chosen.vcserver,
        port=chosen.vcport,
        user=chosen.vcuser,
        password=chosen.vcpass,
        thumbprint=logged_in.thumbprint,
        is_vcenter=logged_in.is_vcenter,
        reading=chosen.modes(writing=False),
        writing=chosen.modes(writing=True),
        limits=access.Limits(slots, chosen.vddk_vcenter_connections, chosen.vddk_host_connections),
        settings={
            "libdir": chosen.vddk_libdir,
            "plugin": chosen.vddk_plugin,
            "compression": chosen.vddk_compression,
            "settings": _settings(chosen.vddk_config),
            "debug": chosen.vddk_log == "debug",
            "log": DiskLog(directory, job).prepare(),
        },
    )


def _settings(file: Optional[str]) -> str:
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n") + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise errors.OptionError(
            f"Plugin option vddk_config: {file} cannot be read: {error}"
        ) from error
