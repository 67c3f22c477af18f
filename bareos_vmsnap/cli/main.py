# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap: inspects backups and checks a set-up. The plugin itself does not need it.

A command's module is loaded when the command is called, so help needs none of its dependencies.
"""

from __future__ import annotations

import importlib
from typing import Optional

import click

import bareos_vmsnap

_COMMANDS = {
    "check": "Log in, find the VM, run the preflight and open a disk.",
    "options": "Print all plugin options with their defaults, as Markdown.",
    "rebuild": "Rebuild the disks of every node of one VM from segment files.",
    "show": "Show the time point and the snapshot tree of a manifest.",
    "verify": "Check every frame and the digest of segment files.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> Optional[click.Command]:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bareos_vmsnap.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands)
@click.version_option(bareos_vmsnap.__version__)
def main() -> None:
    """Back up VMware VMs with their whole tree of user snapshots through Bareos."""
