# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The command `vmsnap-lab fd`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from vmsnap_lab.cli import fd

from . import tracer
from .tracer import regular


def _run(tmp_path: Path, *arguments: str) -> Result:
    common = ["--directory", str(tmp_path / "fd"), "--plugin-path", str(tracer.PLUGINS)]
    return CliRunner().invoke(fd.command, [*common, *arguments])


def test_backup_list_restore(script: tracer.Script, tmp_path: Path) -> None:
    ran = _run(tmp_path, "backup", script.write(regular("/@D/a", 600)))
    assert ran.exit_code == 0
    assert "Backup OK" in ran.output
    assert _run(tmp_path, "list").output.split() == ["1", "B", "F", "T", "600", "backup-vm"]
    assert _run(tmp_path, "list", "1").output.split() == ["1", "600", "600", "/@D/a"]
    script.write()
    assert _run(tmp_path, "restore").exit_code == 0
    assert len(script.restored()[0]) == 600


def test_failure(script: tracer.Script, tmp_path: Path) -> None:
    faults = [{"at": "start_backup_file", "raise": True}]
    ran = _run(tmp_path, "backup", script.write(regular("/@D/a"), faults=faults))
    assert ran.exit_code == 1
    assert "the script's exception" in ran.output
    assert _run(tmp_path, "restore").exit_code == 1


def test_estimate(script: tracer.Script, tmp_path: Path) -> None:
    ran = _run(tmp_path, "estimate", script.write(regular("/@D/a", 600)))
    assert ran.exit_code == 0
    assert "600 /@D/a" in ran.output
