# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The commands print the ids of messages as the job log does, and no traceback."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pyVmomi import vim, vmodl

from bareos_vmsnap.cli import check, failures, main, rebuild, show, verify
from tests.stream import samples
from vmsnap_lab.lab import Lab


def output(command: click.Command, *arguments: object) -> str:
    """What a command says that fails."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == 1, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert not re.search(r"Traceback|daemon|run the job again", done.output), done.output
    return done.output


def whole_file(folder: Path) -> Path:
    file = folder / "whole.vmseg"
    file.write_bytes(samples.small())
    return file


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        made.create_vm("web1", [1 << 20])
        yield made


def checked(lab: Lab, folder: Path, **changed: object) -> str:
    """What `vmsnap check` says that fails."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    if not secret.read_bytes():
        secret.write_text(lab.password)
    options = {
        "vcserver": lab.host,
        "vcport": lab.port,
        "vcuser": lab.user,
        "vcpass_file": secret,
        "ca_file": lab.ca_file,
        "dc": "Lab",
        "vmname": "web1",
        "transport": "nbd",
        "nbd_uri": "nbd://h/{disk}",
        **changed,
    }
    return output(check.command, *(f"{key}={value}" for key, value in options.items()))


@pytest.mark.parametrize(
    ("call", "fault", "text"),
    [
        ("HasPrivilegeOnEntities", vim.fault.NoPermission(), "NoPermission"),
        ("FindByInventoryPath", vmodl.fault.SystemError(msg="no"), "SystemError: no"),
    ],
)
def test_check_when_vsphere_refuses(
    lab: Lab, tmp_path: Path, call: str, fault: Any, text: str
) -> None:
    lab.habits.fail(call, fault)
    printed = checked(lab, tmp_path)
    assert f"error: vSphere refused a call: {text}" in printed
    assert printed.endswith(" [vsphere-refused]\n")


def test_check_with_what_admins_mistype(lab: Lab, tmp_path: Path) -> None:
    assert checked(lab, tmp_path, vcserver="a..b").endswith(" [server-unreachable]\n")
    assert checked(lab, tmp_path, nbd_uri="nbd://h/{disk!z}").endswith(
        " [option-invalid, nbd-uri-malformed]\n"
    )
    assert checked(lab, tmp_path, config_file="/x\x00y").endswith(" [option-file-unreadable]\n")
    assert "\x00" not in checked(lab, tmp_path, config_file="/x\x00y")
    assert checked(lab, tmp_path, vmname="a\x00b").endswith(" [option-invalid]\n")
    (tmp_path / "password").write_bytes(b"geheim\xe4\n")
    printed = checked(lab, tmp_path)
    assert printed.endswith(" [option-file-unreadable]\n")
    assert "geheim" not in printed


@pytest.mark.parametrize("name", list(main.main.list_commands(None)))  # type: ignore[arg-type]
def test_whatever_happens_no_command_prints_a_traceback(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = main.main.get_command(None, name)  # type: ignore[arg-type]
    assert isinstance(command, failures.GuardedCommand)
    for error, id in ((ZeroDivisionError("x"), "unexpected"), (OSError(28, "full"), "disk-full")):

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(command, "callback", fail)
        monkeypatch.setattr(command, "params", [])
        assert output(command).endswith(f" [{id}]\n")


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
    assert output(verify.command, tmp_path).endswith(" [path-unfit]\n")
    assert output(verify.command, whole_file(tmp_path) / "x").endswith(" [path-unfit]\n")


def test_show(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text("{")
    assert output(show.command, file).endswith(" [manifest-foreign]\n")


def test_show_when_the_disk_is_faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "manifest.json"
    file.touch()

    def fail(source: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(show.manifest, "read", fail)
    said = output(show.command, file)
    assert said.startswith(f"{file}: Input/output error. What to do: ")
    assert said.endswith(" [file-io-error]\n")


def test_rebuild(tmp_path: Path) -> None:
    assert output(rebuild.command, tmp_path, tmp_path / "x").endswith(" [segments-missing]\n")
    (tmp_path / "bad.vmseg").write_bytes(b"no segment, but as long as the head of one is")
    said = output(rebuild.command, tmp_path, tmp_path / "x")
    assert said.endswith(" [segment-file-unreadable, segment-no-magic]\n")
    (tmp_path / "bad.vmseg").unlink()
    (tmp_path / "bad.vmseg").mkdir()
    said = output(rebuild.command, tmp_path, tmp_path / "x")
    assert said.endswith(" [segment-file-unreadable, path-unfit]\n")
    assert "Errno" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "secret.vmseg"
    file.touch(mode=0)
    assert output(verify.command, file).endswith(" [file-forbidden]\n")
