# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap verify: are segment files whole?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bareos_vmsnap.cli import failures
from bareos_vmsnap.stream import verify


@click.command("verify", cls=failures.GuardedCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(files: tuple[Path, ...]) -> None:
    """Check every frame and the digest of segment FILES restored to a directory."""
    damaged = 0
    for path in files:
        try:
            with path.open("rb") as source:
                totals = verify.verify(source).totals
        except Exception as error:  # noqa: BLE001 - becomes a message that names the file
            click.echo(f"{path}: {failures.explained(error)}", err=True)
            damaged += 1
            continue
        click.echo(f"{path}: whole, {totals.data_bytes} bytes of data, {totals.zero_bytes} zero")
    sys.exit(1 if damaged else 0)
