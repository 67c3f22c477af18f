# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab as a process of its own, with VDDK."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from .nbdkit import PLUGIN


def test_it_tells_where_the_library_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vmsnap_lab", "serve", str(tmp_path)]
    with subprocess.Popen([*command, "--vddk"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        libdir = Path(started["libdir"])
        assert (libdir / "lib64" / "libvixDiskLib.so.8").exists()
        assert started["nbdkit_plugin"] == PLUGIN
        dump = subprocess.run(
            ["nbdkit", started["nbdkit_plugin"], "--dump-plugin", f"libdir={libdir}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "vddk_library_version=8" in dump.stdout
        assert "VixDiskLib_QueryAllocatedBlocks=1" in dump.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
