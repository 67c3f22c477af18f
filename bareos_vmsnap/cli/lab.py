# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap lab: a simulated vCenter in the foreground."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import click


@click.command("lab")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--port", type=int, default=0, help="HTTPS port; a free one by default.")
@click.option("--vddk", is_flag=True, help="Serve nbdkit's vddk plugin, too: see docs/lab.md.")
def command(directory: Path, port: int, vddk: bool) -> None:
    """Run a simulated vCenter with its disks below DIRECTORY until it is interrupted."""
    sys.argv = ["vmsnap lab", "--directory", str(directory), "--port", str(port)]
    sys.argv += ["--vddk"] if vddk else []
    runpy.run_module("bareos_vmsnap.lab.vcenter", run_name="__main__", alter_sys=True)
