# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From options to a session, a VM and access to its disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap import errors
from bareos_vmsnap.fd.disk_log import DiskLog
from bareos_vmsnap.fd.option_files import read_text
from bareos_vmsnap.fd.options import Options, require_server, require_vm
from bareos_vmsnap.transport import access
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.vsphere import inventory, session


def connect(options: Options) -> session.Session:
    """Log in. Raises errors.OptionError, session.SessionError."""
    require_server(options)
    return session.Session(
        session.Server(
            host=options.vcserver,
            port=options.vcport,
            user=options.vcuser,
            password=options.vcpass,
            ca_file=options.ca_file,
            thumbprint=options.vcthumbprint,
            verify=options.verifyssl,
        )
    )


def find_vm(content: Any, options: Options) -> Any:
    """The VM to back up. Raises errors.OptionError, inventory.NotFoundError."""
    require_vm(options)
    if options.uuid:
        return inventory.by_uuid(content, options.uuid)
    return inventory.virtual_machine(content, options.dc, options.folder, options.vmname)


def disk_access(
    options: Options, logged_in: session.Session, directory: Path, job: str
) -> access.Access:
    """How disks are reached. `directory` is the working directory of the file daemon, `job` the
    unique name of the job. Raises errors.OptionError.
    """
    if not options.through_vddk:
        try:
            return access.NbdAccess(options.nbd_uri, options.nbd_link_uri)
        except access.TemplateError as error:
            raise errors.OptionError(
                f"Plugin option nbd_uri: {error}", id="option-invalid"
            ) from error
    slots = options.vddk_slots or str(directory / "bareos-vmsnap-slots")
    common = VddkDisk(
        server=options.vcserver,
        port=options.vcport,
        user=options.vcuser,
        password=options.vcpass,
        thumbprint=logged_in.thumbprint,
        libdir=options.vddk_libdir,
        plugin=options.vddk_plugin,
        compression=options.vddk_compression,
        settings=_settings(options.vddk_config),
        debug=options.vddk_log == "debug",
        log=DiskLog(directory, job).prepare(),
    )
    return access.VddkAccess(
        common,
        is_vcenter=logged_in.is_vcenter,
        reading=options.modes(writing=False),
        writing=options.modes(writing=True),
        limits=access.Limits(
            slots, options.vddk_vcenter_connections, options.vddk_host_connections
        ),
    )


def _settings(file: Optional[str]) -> str:
    if file is None:
        return ""
    return read_text(Path(file)).rstrip("\n") + "\n"
