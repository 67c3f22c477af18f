# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap-lab serve: the simulated vCenter as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import click

from vmsnap_lab.lab import USERS, Lab
from vmsnap_lab.vddk import plugin


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", type=int, default=0, help="HTTPS port; a free one by default.")
@click.option(
    "--flavour",
    type=click.Choice(sorted(USERS)),
    default="vcenter",
    show_default=True,
    help="A vCenter, or a single ESXi host.",
)
@click.option(
    "--datastore",
    "datastores",
    multiple=True,
    default=("datastore1", "datastore2"),
    show_default=True,
    help="Name of a datastore; may be given several times.",
)
@click.option("--vddk", is_flag=True, help="Serve nbdkit's vddk plugin, too: see docs/lab.md.")
def command(
    directory: Path, port: int, flavour: str, datastores: tuple[str, ...], vddk: bool
) -> None:
    """Run a simulated vCenter, with its disks below DIRECTORY, until SIGTERM or SIGINT.

    It prints how to reach it, as one line of JSON. The inventory lives as long as the process;
    the disks stay.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: ended.set())
    with Lab(directory, datastores=datastores, flavour=flavour, port=port) as lab:
        described = _describe(lab, directory)
        if vddk:
            described.update(libdir=str(lab.vddk.libdir), nbdkit_plugin=plugin.find())
        click.echo(json.dumps(described))
        ended.wait()


def _describe(lab: Lab, directory: Path) -> dict[str, object]:
    """How to reach the lab; the password itself is in a file only its owner can read."""
    password_file = directory.absolute() / "password"
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(lab.password + "\n")
    return {
        "host": lab.host,
        "port": lab.port,
        "ca_file": str(lab.ca_file),
        "thumbprint": lab.thumbprint,
        "user": lab.user,
        "password_file": str(password_file),
        "nbd_uri": lab.nbd_uri,
        "nbd_link_uri": lab.nbd_link_uri,
    }
