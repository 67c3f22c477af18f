# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What this machine lacks for transport=vddk."""

from __future__ import annotations

import subprocess

from bareos_vmsnap.errors import Notice
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.transport import TransportError
from bareos_vmsnap.transport.vddk import library
from bareos_vmsnap.transport.vddk.command import FILTER

_TIMEOUT = 30  # seconds nbdkit may take to describe its plugin


def lacking(options: Options) -> list[Notice]:
    """What is missing, each item with what to install."""
    problems = [*_server(options.vddk_plugin)]
    try:
        library.find(options.vddk_libdir)
    except TransportError as error:
        problems.append(Notice(error.id, error.what))
    return problems


def _server(plugin: str) -> list[Notice]:
    try:
        result = subprocess.run(
            ["nbdkit", f"--filter={FILTER}", "--dump-plugin", plugin],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        return [Notice("program-missing", "nbdkit is not installed: install the package nbdkit")]
    except subprocess.TimeoutExpired:
        text = f"nbdkit did not describe its plugin {plugin} within {_TIMEOUT} s"
        return [Notice("program-late", text)]
    if result.returncode == 0:
        return []
    lines = result.stderr.strip().splitlines()
    text = (
        f"nbdkit cannot use its plugin {plugin} with its filter {FILTER}: install"
        " nbdkit-plugin-vddk (Debian, Ubuntu) or nbdkit-vddk-plugin and nbdkit-basic-filters (EL,"
        " Fedora), see docs/installation.md, or name the plugin's file with vddk_plugin"
        f" ({lines[-1] if lines else f'exit status {result.returncode}'})"
    )
    return [Notice("vddk-plugin-missing", text)]
