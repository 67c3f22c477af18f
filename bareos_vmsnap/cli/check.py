# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap check: would a backup work, before the first one runs?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Optional

import click

from bareos_vmsnap import errors, method_names
from bareos_vmsnap.cli import failures, vddk
from bareos_vmsnap.fd import relocation, vcenter_connection
from bareos_vmsnap.fd.options import Options, parse
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.transport.access import DiskAddress
from bareos_vmsnap.tree import segment_header
from bareos_vmsnap.vsphere import disks, preflight, snapshots


@click.command("check", cls=failures.GuardedCommand)
@click.argument("settings", nargs=-1, metavar="[OPTION=VALUE]...")
def command(settings: tuple[str, ...]) -> None:
    """Log in, find the VM, run the preflight and open a disk, with plugin options as OPTION=VALUE.

    Nothing is changed. Example: vmsnap check config_file=/etc/bareos/vmsnap/vcenter.ini dc=DC
    vmname=web1
    """
    values = dict(setting.partition("=")[::2] for setting in settings)
    parsed = parse(values)
    for warning in parsed.warnings:
        click.echo(f"warning: {warning}")
    lacking = vddk.lacking(parsed.options) if parsed.options.through_vddk else []
    for problem in lacking:
        click.echo(f"error: {problem}", err=True)
    session = vcenter_connection.connect(parsed.options)
    try:
        vm = vcenter_connection.find_vm(session.content, parsed.options)
        name = vm.name
        _report(vm, session.content)
        if not lacking:
            _check_relocation_block(vm, session, parsed.options)
            _open_a_disk(vm, session, parsed.options)
    finally:
        session.close()
    if lacking:
        sys.exit(1)
    click.echo(f"VM {name} can be backed up")


def _report(vm: Any, content: Any) -> None:
    about = content.about
    click.echo(f"{about.fullName}, API {about.apiVersion}")
    for warning in preflight.check(vm, content).warnings:
        click.echo(f"warning: {warning}")
    tracking = preflight.tracking_warning(vm)
    click.echo(f"warning: {tracking}" if tracking else "Changed block tracking is on")
    if about.apiType == "VirtualCenter":
        unmarked = preflight.marker_warning(vm, content)
        click.echo(f"warning: {unmarked}" if unmarked else "Jobs can leave their marker in the VM")
    for disk in disks.saved(vm.config.hardware.device):
        click.echo(f"{disk.label} ({disk.slot}): {disk.capacity} bytes, {disk.path}")
    count = sum(1 for _ in snapshots.walk(vm))
    click.echo(f"It has {count} snapshots")


def _check_relocation_block(vm: Any, session: Any, options: Options) -> None:
    """Raises RelocationBlockError."""
    with tempfile.TemporaryDirectory(prefix="bareos-vmsnap-check-") as directory:
        access = vcenter_connection.disk_access(options, session, Path(directory), "check")
        click.echo(relocation.check(options, access, vm, session.content))


def _open_a_disk(vm: Any, session: Any, options: Options) -> None:
    """Open the first disk that can be opened without a backup snapshot. Raises BackupError."""
    found = _readable(vm)
    if found is None:
        click.echo(
            "No disk was opened: the VM runs and has no snapshot. Switch it off or take a snapshot"
            " to have that checked too"
        )
        return
    snapshot, disk = found
    with tempfile.TemporaryDirectory(prefix="bareos-vmsnap-check-") as directory:
        access = vcenter_connection.disk_access(options, session, Path(directory), "check")
        host = vm.runtime.host.name if vm.runtime.host is not None else ""
        address = DiskAddress(vm._moId, disk.key, disk.path, snapshot, host)
        # Reading changes nothing, so the leaf of a powered-off VM is opened too.
        plan = ReadPlan(access.describe(address), None, disk.capacity, method_names.CBT)
        try:
            with client.Mover.read(plan) as mover:
                mover.wait_ready(client.OPEN_TIMEOUT, inform=click.echo)
        except client.MoverError as error:
            raise errors.BackupError(
                f"{disk.label} cannot be opened: {error}", id="disk-not-opened"
            ) from error
    click.echo(f"{disk.label} was opened ({disk.path})")


def _readable(vm: Any) -> Optional[tuple[Optional[str], segment_header.Disk]]:
    for item in snapshots.walk(vm):
        for disk in disks.saved(item.tree.snapshot.config.hardware.device):
            return item.moref, disk
    if vm.runtime.powerState == "poweredOff":
        for disk in disks.saved(vm.config.hardware.device):
            return None, disk
    return None
