# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap rebuild: disks from segment files alone."""

from __future__ import annotations

from pathlib import Path

import click

from bareos_vmsnap.cli import failures
from bareos_vmsnap.rebuild import rebuild, tree_of


@click.command("rebuild", cls=failures.GuardedCommand)
@click.argument("files", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("directory", type=click.Path(path_type=Path))
def command(files: Path, directory: Path) -> None:
    """Rebuild the disks of every node of one VM from the segment files below FILES.

    Get the files with pluginoptions=python3:restore_target=files:restore_directory=FILES.
    DIRECTORY, new or empty, then holds a qcow2 file for each disk and node.
    """
    tree, found = tree_of(files.rglob("*.vmseg"))
    count = rebuild(tree, found, directory)
    click.echo(f"VM {tree.vm.name}: {count} nodes from {len(found)} segments below {directory}")
