# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap options: the plugin's options as the code defines them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click

from bareos_vmsnap.cli import failures
from bareos_vmsnap.fd.options import Options


def markdown() -> str:
    """The table of docs/options.md."""
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for field in fields(Options):
        lines.append(
            f"| `{field.name}` | {_default(field.default, field.metadata['unit'])} | {field.metadata['doc']} |"
        )
    return "\n".join(lines) + "\n"


def _default(value: Any, unit: int) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, int):
        value //= unit
    return f"`{value}`" if value not in (None, "") else ""


@click.command("options", cls=failures.GuardedCommand)
def command() -> None:
    """Print all plugin options with their defaults, as Markdown."""
    click.echo(markdown(), nl=False)
