# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap-lab: a simulated vCenter, the demo, a loopback file daemon.

Each command's module is loaded when it is called, so that help needs none of what they need.
"""

from __future__ import annotations

import importlib
from typing import Optional

import click

import vmsnap_lab

_COMMANDS = {
    "demo": "Back up, destroy, restore and compare a VM with a branching snapshot tree.",
    "fd": "Run a Bareos Python plugin without Bareos.",
    "serve": "Run a simulated vCenter with real disks.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> Optional[click.Command]:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vmsnap_lab.cli.{name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name != "nbd":
                raise
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands)
@click.version_option(vmsnap_lab.__version__)
def main() -> None:
    """Try and test backups of VMware VMs without vSphere, VDDK and Bareos."""
