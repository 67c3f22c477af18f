# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap: looks into backups, checks a set-up, runs the lab.

The plugin itself needs none of this. Each command's module is loaded when it is called.
"""

from __future__ import annotations

import importlib
from typing import Optional

import click

import bareos_vmsnap

_COMMANDS = {
    "check": "bareos_vmsnap.cli.check",
    "demo": "bareos_vmsnap.cli.demo",
    "lab": "bareos_vmsnap.cli.lab",
    "options": "bareos_vmsnap.cli.options",
    "rebuild": "bareos_vmsnap.cli.rebuild",
    "show": "bareos_vmsnap.cli.show",
    "verify": "bareos_vmsnap.cli.verify",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> Optional[click.Command]:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[name]).command
        return command


@click.command(cls=_Lazy)
@click.version_option(bareos_vmsnap.__version__)
def main() -> None:
    """Back up VMware VMs with their whole tree of user snapshots through Bareos."""
