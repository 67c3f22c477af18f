# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap verify: are segment files whole?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.stream import verify


@click.command("verify")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(files: tuple[Path, ...]) -> None:
    """Check every frame and the digest of segment FILES restored to a directory."""
    damaged = 0
    for path in files:
        try:
            with path.open("rb") as source:
                totals = verify.verify(source).totals
            click.echo(
                f"{path}: whole, {totals.data_bytes} bytes of data, {totals.zero_bytes} zero"
            )
        except (errors.VmsnapError, OSError) as error:
            click.echo(f"{path}: {errors.message(system_errors.translated(error))}", err=True)
            damaged += 1
    sys.exit(1 if damaged else 0)
