# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap show: what a manifest says."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from bareos_vmsnap.cli import failures
from bareos_vmsnap.tree import manifest, model


@click.command("show", cls=failures.GuardedCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Show the time point of the manifest FILE and the snapshot tree at it."""
    try:
        with file.open("rb") as source:
            tree = manifest.read(source)
    except Exception as error:  # noqa: BLE001 - becomes a message that names the file
        click.echo(f"{file}: {failures.explained(error)}", err=True)
        sys.exit(1)
    console = Console(highlight=False)
    point = tree.point
    console.print(f"{point.id}  {point.level}  {escape(point.job)}")
    console.print(_drawn(tree, point))


def _drawn(tree: model.BlockTree, point: model.TimePoint) -> Tree:
    root = Tree(f"[bold]{escape(tree.vm.name)}[/] ({tree.vm.instance_uuid})")
    branches: dict[str | None, Tree] = {None: root}
    segments = tree.segments_by_node()
    for live in point.snapshots:
        node = tree.nodes[live.node]
        size = sum(segment.size for segment in segments.get(node.id, []))
        label = f"{escape(live.name)} ({node.cpus} CPU, {node.memory_mb} MiB, {size} bytes stored)"
        branches[live.node] = branches[live.parent].add(label)
    branches[point.current].add("● the VM stood here")
    return root
