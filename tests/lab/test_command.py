# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The command `vmsnap-lab` if libnbd's module, which is not on PyPI, is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
sys.modules["nbd"] = None
from vmsnap_lab.cli.main import main
main(sys.argv[1:])
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["serve", "demo", "fd"])
def test_help_needs_no_libnbd(command: str) -> None:
    ran = _run(command, "--help")
    assert ran.returncode == 0, ran.stderr
    assert "Usage:" in ran.stdout


def test_serve_names_the_package_that_is_missing(tmp_path: Path) -> None:
    ran = _run("serve", str(tmp_path / "lab"))
    assert ran.returncode == 1
    assert "python3-libnbd" in ran.stderr
    assert "Traceback" not in ran.stderr
