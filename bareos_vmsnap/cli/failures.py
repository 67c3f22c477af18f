# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How all commands end that fail: with a message for an admin, never with a traceback."""

from __future__ import annotations

import sys
from typing import Any

import click

from bareos_vmsnap import errors, system_errors


class GuardedCommand(click.Command):
    """A command whose exceptions become messages, and its exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        # click's own, and a reader of our output that has gone away, which click deals with.
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - becomes a message
            click.echo(f"error: {explained(error)}", err=True)
            sys.exit(1)


def explained(error: BaseException) -> str:
    """Any exception as an admin sees it, with its ids."""
    if "pyVmomi" not in sys.modules:  # then it is no fault of vSphere
        return errors.message(system_errors.translated(error))
    from bareos_vmsnap.vsphere import faults

    return errors.message(faults.translated(error))
