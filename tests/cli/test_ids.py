# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The commands print the ids of messages as the job log does, and no traceback."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bareos_vmsnap.cli import check, rebuild, show, verify
from tests.stream import samples


def output(command: click.Command, *arguments: object) -> str:
    """What a command says that fails."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == 1, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


def test_check() -> None:
    assert output(check.command, "quiesce=perhaps").endswith(" [option-invalid]\n")
    warned = output(check.command, "transport=vddk", "nbd_uri=nbd://h/{disk}", "vddk_libdir=/no")
    assert (
        "warning: nbd_uri has no effect: it goes with transport=nbd [option-without-effect]\n"
        in (warned)
    )
    assert " [vddk-missing]\n" in warned
    assert warned.endswith(" [option-missing]\n")


def test_verify(tmp_path: Path) -> None:
    whole = samples.small()
    cut, gone = tmp_path / "cut.vmseg", tmp_path / "gone.vmseg"
    cut.write_bytes(whole[:-1])
    first, second = output(verify.command, cut, gone).splitlines()
    assert first.endswith(" [segment-truncated]")
    assert second.startswith(f"{gone}: No such file or directory: {gone}. What to do: ")
    assert second.endswith(" [file-missing]")


def test_show(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text("{")
    assert output(show.command, file).endswith(" [manifest-foreign]\n")


def test_rebuild(tmp_path: Path) -> None:
    assert output(rebuild.command, tmp_path, tmp_path / "x").endswith(" [segments-missing]\n")
    (tmp_path / "bad.vmseg").write_bytes(b"no segment, but as long as the head of one is")
    said = output(rebuild.command, tmp_path, tmp_path / "x")
    assert said.endswith(" [segment-file-unreadable, segment-no-magic]\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "secret.vmseg"
    file.touch(mode=0)
    assert output(verify.command, file).endswith(" [file-forbidden]\n")
