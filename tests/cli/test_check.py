# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vmsnap check tells exactly what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.cli import check
from bareos_vmsnap.vsphere import preflight
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError, plugin

PLUGIN = plugin.find()
pytestmark = pytest.mark.skipif(
    PLUGIN is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)
MIB = 1 << 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def run(lab: Lab, folder: Path, vm: str, **changed: Any) -> Result:
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(lab.password)
    options = {
        "vcserver": lab.host,
        "vcport": lab.port,
        "vcuser": lab.user,
        "vcpass_file": secret,
        "ca_file": lab.ca_file,
        "dc": "Lab",
        "vmname": vm,
        "vddk_libdir": lab.vddk.libdir,
        "vddk_plugin": PLUGIN,
        **changed,
    }
    arguments = [f"{key}={value}" for key, value in options.items() if value is not None]
    return CliRunner().invoke(check.command, arguments)


def test_all_is_well(lab: Lab, tmp_path: Path) -> None:
    guest = lab.create_vm("snapshots", [MIB])
    vm: Any = vim.VirtualMachine(guest.moref, lab.connect()._stub)
    WaitForTask(vm.CreateSnapshot_Task("s", "", False, False))
    guest.power_on()
    done = run(lab, tmp_path, "snapshots")
    assert done.exit_code == 0, done.output
    assert "was opened ([datastore1] snapshots/snapshots.vmdk)" in done.output
    assert "VM snapshots can be backed up" in done.output
    assert lab.vddk.named("Open")[-1].arguments["path"] == "[datastore1] snapshots/snapshots.vmdk"


def test_a_vm_without_a_snapshot(lab: Lab, tmp_path: Path) -> None:
    guest = lab.create_vm("plain", [MIB])
    done = run(lab, tmp_path, "plain")
    assert (done.exit_code, "was opened" in done.output) == (0, True), done.output
    guest.power_on()
    done = run(lab, tmp_path, "plain")
    assert (done.exit_code, "No disk was opened: the VM runs" in done.output) == (0, True)


def test_what_is_missing_is_reported_all_at_once(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.create_vm("missing", [MIB])
    done = run(lab, tmp_path, "missing", vddk_libdir="/nowhere", vddk_plugin="/no/plugin.so")
    assert done.exit_code == 1
    assert (
        "error: nbdkit cannot use its plugin /no/plugin.so with its filter exitlast: install"
        in done.output
    )
    assert "error: VMware's VDDK (libvixDiskLib.so.6 to .9) is not in /nowhere" in done.output
    assert "can be backed up" not in done.output
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run(lab, tmp_path, "missing", vddk_plugin="vddk")
    assert (done.exit_code, "error: nbdkit is not installed" in done.output) == (1, True)


def test_whether_storage_vmotion_can_be_prevented(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab") as lab:
        lab.create_vm("web1", [MIB])

        def output(**changed: Any) -> str:
            done = run(lab, tmp_path, "web1", **changed)
            assert done.exit_code == 0, done.output
            return done.output

        assert "Storage vMotion is prevented while a job runs" in output()
        no = output(prevent_storage_vmotion="no")
        assert "is detected, not prevented: prevent_storage_vmotion=no" in no
        assert "Jobs can leave their marker in the VM" in output()
        granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES, "Global.Licenses"]
        lab.vcenter.add_user("backup", lab.password, granted)
        cannot = "is detected, but cannot be prevented: "
        lacks = f"{cannot}the user lacks the privileges Global.DisableMethods, Global.EnableMethods"
        assert lacks in output(vcuser="backup")
        unmarked = (
            "warning: The user backup lacks the privilege VirtualMachine.Config.AdvancedConfig"
        )
        assert unmarked in output(vcuser="backup")
        lab.vddk.leave_access_out()
        assert f"{cannot}this VDDK has no PrepareForAccess" in output()
        done = run(lab, tmp_path, "web1", prevent_storage_vmotion="yes")
        assert done.exit_code == 1
        assert "error: Storage vMotion of VM web1 cannot be prevented" in done.output
        assert lab.vddk.named("PrepareForAccess") == []


def test_a_disk_that_cannot_be_opened(lab: Lab, tmp_path: Path) -> None:
    lab.create_vm("locked", [MIB])
    lab.vddk.habits.fail("Open", VixError.FILE_ALREADY_LOCKED)
    done = run(lab, tmp_path, "locked")
    assert done.exit_code == 1
    assert "cannot be opened: " in done.output
    assert "the disk is locked" in done.output
