# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap-lab demo: a branching snapshot tree is backed up, destroyed, restored, compared."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

import click

from vmsnap_lab import plugin_options
from vmsnap_lab.demo import play
from vmsnap_lab.demo.show import Show


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep disks and volumes here.")
@click.option(
    "--transport",
    type=click.Choice(plugin_options.TRANSPORTS),
    default="nbd",
    show_default=True,
    help="How the plugin reaches disks; vddk: nbdkit's vddk plugin on a stand-in for VDDK.",
)
@click.option(
    "--plugin-path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="The directory with bareos-fd-vmsnap.py; the present one by default.",
)
def command(keep: Optional[Path], transport: str, plugin_path: Path) -> None:
    """Back up, destroy and restore a VM with a branching snapshot tree; compare every node."""
    if not (plugin_path / f"{play.MODULE}.py").is_file():
        raise click.UsageError(f"There is no {play.MODULE}.py in {plugin_path}: see --plugin-path")
    began = time.monotonic()
    show = Show()
    with tempfile.TemporaryDirectory(prefix="vmsnap-demo-") as scratch:
        place = Path(scratch)
        if keep is not None:
            place = keep / time.strftime("%Y%m%d-%H%M%S")
            place.mkdir(parents=True)
        proven = play.run(show, place, transport, plugin_path)
    seconds = time.monotonic() - began
    verdict = "everything came back byte for byte" if proven else "NOT everything came back"
    colour = "bold green" if proven else "bold red"
    show.console.print(f"\n[{colour}]{verdict}[/] ({seconds:.0f} s)")
    sys.exit(0 if proven else 1)
