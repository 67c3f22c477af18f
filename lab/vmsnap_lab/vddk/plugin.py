# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Where nbdkit's vddk plugin is: the distribution's, or what scripts/setup has unpacked."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Optional

from vmsnap_lab.vddk import build

FILE = "nbdkit-vddk-plugin.so"


def find() -> Optional[str]:
    """nbdkit's name for the plugin: "vddk" if that is installed, else a path; None: not there."""
    if loads("vddk"):
        return "vddk"
    unpacked: Path = build.cache() / FILE
    return str(unpacked) if loads(str(unpacked)) else None


def why_missing() -> str:
    """The reason that scripts/setup left, if it could not get the plugin."""
    reason = build.cache() / "missing"
    return reason.read_text().strip() if reason.exists() else "run scripts/setup test"


def loads(plugin: str) -> bool:
    """Whether nbdkit is there and takes the plugin."""
    try:
        done = subprocess.run(["nbdkit", plugin, "--dump-plugin"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
