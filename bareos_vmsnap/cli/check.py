# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap check: would a backup work, before the first one runs?"""

from __future__ import annotations

import sys
from typing import Any

import click

from bareos_vmsnap import errors
from bareos_vmsnap.fd import connection, options
from bareos_vmsnap.vsphere import disks, preflight, snapshots


@click.command("check")
@click.argument("settings", nargs=-1, metavar="[OPTION=VALUE]...")
def command(settings: tuple[str, ...]) -> None:
    """Log in, find the VM and run the preflight, with plugin options as OPTION=VALUE.

    Nothing is changed. Example: vmsnap check config_file=/etc/bareos/vmsnap/vcenter.ini dc=DC
    vmname=web1
    """
    given = dict(setting.partition("=")[::2] for setting in settings)
    try:
        parsed = options.parse(given)
        for warning in parsed.warnings:
            click.echo(f"warning: {warning}")
        connection.disk_access(parsed.options)
        session = connection.connect(parsed.options)
        try:
            _report(connection.find_vm(session.content, parsed.options), session.content)
        finally:
            session.close()
    except errors.VmsnapError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _report(vm: Any, content: Any) -> None:
    about = content.about
    click.echo(f"{about.fullName}, API {about.apiVersion}")
    for warning in preflight.check(vm, content).warnings:
        click.echo(f"warning: {warning}")
    tracking = preflight.tracking_warning(vm)
    click.echo(f"warning: {tracking}" if tracking else "Changed block tracking is on")
    for disk in disks.saved(vm.config.hardware.device):
        click.echo(f"{disk.label} ({disk.slot}): {disk.capacity} bytes, {disk.path}")
    count = sum(1 for _ in snapshots.walk(vm))
    click.echo(f"VM {vm.name} can be backed up with its {count} snapshots")
