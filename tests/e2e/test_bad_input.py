# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What cannot be backed up ends the job with one clear message, and nothing was touched."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Callable

import pytest
from pyVmomi import vim

from bareos_vmsnap.vsphere import preflight
from vmsnap_lab.vcenter import certificates
from vmsnap_lab.vcenter.services import privileges

from . import hardware
from .conftest import Saved
from .hardware import MIB
from .joblog import check_failed, check_ok, said
from .machine import Machine
from .meddling import before_calls
from .site import REPOSITORY, Site

OTHER_THUMBPRINT = ":".join(["AB"] * 20)


def check_refused(saved: Saved, **wrong: tuple[Any, str]) -> None:
    """A backup with each of these options fails with the message, and the VM is as before."""
    for option, (value, message) in wrong.items():
        check_failed(saved.site.backup(**{option: value}), message)
    assert saved.machine.snapshot_names == ["A", "B", "C", "D"]


def test_wrong_ways_to_the_server(saved: Saved) -> None:
    check_refused(
        saved,
        vcport=("1", r"127\.0\.0\.1:1 cannot be reached: .*Check vcserver and vcport"),
        vcserver=("no.such.host.invalid", r"no.such.host.invalid:\d+ cannot be reached"),
        vcuser=("nobody@vsphere.local", "refused the login of nobody@vsphere.local"),
        vcthumbprint=(OTHER_THUMBPRINT, "TLS certificate of .* is not the pinned one.*renewed"),
        ca_file=(None, r"TLS certificate of 127\.0\.0\.1:\d+ was not accepted: .*verify failed"),
    )
    check_refused(saved, ca_file=("/nonexistent/ca.pem", "CA file /nonexistent/ca.pem cannot be"))


def test_wrong_ways_to_the_vm(saved: Saved) -> None:
    check_refused(
        saved,
        dc=("Labor", "Datacenter Labor does not exist"),
        folder=("/Production/Windows", r"folder /Production/Windows does not exist .*'Windows'"),
        vmname=("WEB1", "VM WEB1 does not exist in folder / of datacenter Lab"),
        uuid=("1234", "uuid does not go with dc and vmname"),
        nbd_uri=("nbd://host/{disc}", r"Plugin option nbd_uri: .*\{disc\}"),
        snapshot_retrys=("3", "snapshot_retrys is no option of this plugin"),
    )
    check_refused(
        saved,
        nbd_uri=(
            "nbd://x/{disk!z}",
            r"Plugin option nbd_uri: .* is malformed: .*nbd-uri-malformed",
        ),
        vmname=("a\1b", r"vmname=a.*b must not hold the control character .x01"),
    )
    check_refused(
        saved,
        nbd_uri=("nbd+unix:///{disk}?socket=/x%00y", "must not hold the control character .x00"),
        vcserver=("vc..example.com", "vc..example.com cannot be a host's name"),
    )
    check_refused(saved, dc=("Lab/vm", "Lab/vm is no datacenter"))
    check_refused(saved, vmname=(None, "Plugin options: vmname must be given"))
    job = saved.site.backup(uuid="1234", dc=None, vmname=None)
    check_failed(job, "No VM has the UUID 1234")


def test_wrong_password_and_untrusted_ca(site: Site, tmp_path: Path) -> None:
    site.create()
    site.password_file.write_text("not the password\n")
    message = check_failed(site.backup(), f"refused the login of {site.lab.user}")
    assert "not the password" not in message
    site.password_file.write_text(site.lab.password)
    other = certificates.ensure(tmp_path / "other").ca
    check_failed(site.backup(ca_file=str(other)), "TLS certificate of .* was not accepted")


def test_files_of_options_that_are_not_utf_8(site: Site, tmp_path: Path) -> None:
    site.create()
    file = tmp_path / "settings.ini"
    file.write_bytes(b"[vmware_plugin_options]\n# caf\xe9\nquiesce=no\n")
    check_failed(site.backup(config_file=str(file)), "line 2 cannot be read: it is not UTF-8")
    site.password_file.write_bytes(b"geheim\xe4\n")
    message = check_failed(site.backup(), r"line 1 .* not UTF-8.*\[option-file-unreadable\]")
    assert "geheim" not in message


def test_the_right_thumbprint_is_enough(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.guest.write_nvram(b"over HTTPS, pinned as well")
    check_ok(site.backup(ca_file=None, vcthumbprint=site.lab.thumbprint))


def template(machine: Machine) -> None:
    machine.vm.MarkAsTemplate()


def physical_rdm(machine: Machine) -> None:
    raw = vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo
    machine.reconfigure(
        hardware.disk(MIB, backing=raw, compatibilityMode="physicalMode", deviceName="naa.1")
    )


def shared_bus(machine: Machine) -> None:
    machine.reconfigure(
        hardware.controller(hardware.SCSI, sharedBus="physicalSharing"),
        hardware.disk(MIB, controller=-2),
    )


def multi_writer(machine: Machine) -> None:
    machine.reconfigure(hardware.disk(MIB, sharing="sharingMultiWriter"))


def too_deep(machine: Machine) -> None:
    for level in range(preflight.MAX_DEPTH):
        machine.snapshot(f"level {level}")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (template, "it is a template"),
        (physical_rdm, r"Hard disk 2 \(scsi0-1, .*raw device mapping in physical mode"),
        (shared_bus, r"Hard disk 2 \(scsi1-0, .*its controller shares the bus"),
        (multi_writer, r"Hard disk 2 \(scsi0-1, .*multi-writer"),
        (too_deep, "it has as many snapshot levels as vSphere allows"),
    ],
)
def test_vms_that_cannot_be_backed_up(
    site: Site, make: Callable[[Machine], None], message: str
) -> None:
    machine = site.create(disks=[MIB])
    make(machine)
    names = machine.snapshot_names
    check_failed(site.backup(), f"VM web1 cannot be backed up: {message}")
    assert machine.snapshot_names == names


def test_a_disk_that_is_independent_when_the_snapshot_is_taken(site: Site) -> None:
    """And was not there when the VM was examined."""
    machine = site.create(disks=[MIB])
    added: list[str] = []

    def add(number: int, method: str) -> None:
        if method == "CreateSnapshot_Task" and not added:
            added.append(method)
            machine.reconfigure(hardware.disk(MIB, mode="independent_persistent"))

    with before_calls(site, add):
        job = site.backup()
    assert job.status == "T"
    (warning,) = said(job, "M_WARNING")
    assert "VM web1: Hard disk 2 (scsi0-1," in warning
    assert "is not backed up: it is independent" in warning


def test_a_disk_that_was_independent_at_a_snapshot(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB, mode="independent_persistent"))
    machine.snapshot("A")
    device = machine.device(2001)
    machine.reconfigure(hardware.remove(device))
    machine.reconfigure(hardware.disk(MIB, unit=1, path=device.backing.fileName, attach=True))
    machine.scribble("now")
    job = site.backup()
    assert job.status == "T"
    (warning,) = said(job, "M_WARNING")
    assert "VM web1: at 'A', Hard disk 2 (scsi0-1," in warning
    assert "[disk-skipped]" in warning


def test_an_independent_disk_is_left_out(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB, mode="independent_persistent"))
    machine.scribble("a")
    machine.snapshot("s")
    machine.scribble("b")
    faces = machine.portrait().faces
    job = site.backup()
    assert job.status == "T"
    (warning,) = said(job, "M_WARNING")
    assert "Hard disk 2 (scsi0-1," in warning
    assert "is not backed up: it is independent" in warning
    machine.destroy()
    check_ok(site.restore())
    restored = site.find().portrait().faces
    assert [face.disks for face in restored] == [face.disks[:1] for face in faces]


def test_ambiguous_names(site: Site) -> None:
    machine, other = site.create(), site.create("web2")
    other.guest.vm.name = "web1"  # as a host without vCenter allows
    check_failed(site.backup(), "VM web1 is ambiguous: 2 VMs .*Use the option uuid")
    uuid = machine.vm.config.uuid
    other.reconfigure(uuid=uuid)
    check_failed(site.backup(uuid=uuid, dc=None, vmname=None), "2 VMs have the UUID")


def test_missing_privileges_are_all_named(site: Site) -> None:
    machine = site.create()
    site.lab.vcenter.add_user(
        "backup@vsphere.local", site.lab.password, ["VirtualMachine.State.CreateSnapshot"]
    )
    message = check_failed(site.backup(vcuser="backup@vsphere.local"), "cannot be backed up: ")
    wanted = (*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES)
    lacking = [name for name in wanted if f"lacks the privilege {name}" in message]
    assert lacking == [
        "VirtualMachine.State.RemoveSnapshot",
        "VirtualMachine.Provisioning.DiskRandomRead",
        "VirtualMachine.Provisioning.GetVmFiles",
        "Datastore.Browse",
        "Datastore.FileManagement",
    ]
    assert machine.snapshot_names == []


def documented_privileges(*purposes: str) -> list[str]:
    """What the rows of the table in docs/installation.md name; `*` stands for all there are."""
    text = (REPOSITORY / "docs" / "installation.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    named = [
        name
        for row in rows
        if row.split("|")[1].strip().startswith(purposes)
        for name in re.findall(r"`([A-Z]\w+\.[\w.*]+)`", row)
    ]
    return [known for known in privileges.KNOWN if any(fnmatch(known, name) for name in named)]


def test_the_privileges_asked_for_suffice(site: Site) -> None:
    site.lab.vcenter.add_user(
        "backup",
        site.lab.password,
        [*preflight.PRIVILEGES, preflight.MARKER_PRIVILEGE, *preflight.DATASTORE_PRIVILEGES],
    )
    site.create(disks=[MIB]).scribble("a")
    check_ok(site.backup(vcuser="backup"))


def test_the_documented_privileges_suffice(site: Site) -> None:
    for user, purposes in (
        ("cbt", ("backup", "enabling CBT")),
        ("all", ("backup", "enabling CBT", "restore")),
    ):
        site.lab.vcenter.add_user(user, site.lab.password, documented_privileges(*purposes))
    machine = site.create(disks=[MIB], cbt=False)
    check_ok(site.backup(vcuser="cbt"))
    machine.reconfigure(hardware.disk(MIB), hardware.nic("dv-lab"), annotation="note")
    first = machine.snapshot("A")
    machine.reconfigure(
        hardware.remove(machine.device(2001)),
        hardware.remove(machine.device(4001)),
        numCPUs=2,
        memoryMB=512,
        annotation="",
        extraConfig=[vim.option.OptionValue(key="guestinfo.a", value="b")],
    )
    machine.scribble("b")
    machine.snapshot("B")
    machine.revert(first)
    machine.guest.write_nvram(b"x" * 99)
    before = machine.portrait()
    check_ok(site.backup(vcuser="all"))
    machine.destroy()
    check_ok(site.restore(restore_powerstate="on", restore_snapshots="none"))
    site.find().guest.power_off()
    site.find().destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before


def test_restoring_over_a_vm(saved: Saved) -> None:
    before = saved.machine.portrait()
    restore = saved.restore()
    message = check_failed(restore, "web1 exists in folder /")
    assert "the existing VM was not touched" in message
    assert any("Left behind: nothing" in text for text in said(restore, "M_ERROR"))
    assert saved.machine.portrait() == before
    assert saved.site.vm_names() == ["web1"]


def test_restoring_to_nowhere(saved: Saved) -> None:
    wrong: dict[str, tuple[Any, str]] = {
        "restore_datastore": ("datastore9", "Datastore datastore9 does not exist in .* Lab"),
        "restore_esxhost": ("esx7.lab", "HostSystem esx7.lab does not exist"),
        "restore_cluster": ("Big", "ClusterComputeResource Big does not exist"),
        "restore_resourcepool": ("Deep", "ResourcePool Deep does not exist"),
        "dc": ("Elsewhere", "Datacenter Elsewhere does not exist"),
        "folder": ("/Nowhere", "VM folder /Nowhere does not exist"),
        "vmname": ("x" * 81, "Creating VM x+ failed: InvalidName"),
        "restore_target": ("directory", "restore_target=directory needs restore_directory"),
        "restore_powerstate": ("maybe", "restore_powerstate=maybe must be on or off"),
    }
    for option, (value, message) in wrong.items():
        check_failed(saved.restore(**{"vmname": "copy", option: value}), message)
        assert saved.site.vm_names() == ["web1"]


def test_restoring_into_what_is_no_directory(saved: Saved, tmp_path: Path) -> None:
    """The last message does not name a directory that was never made."""
    (tmp_path / "file").touch()
    for target, directory, message in (
        ("directory", "/x\0y", r"must not hold the control character .x00.*\[option-invalid\]"),
        ("files", "/x\0y", r"must not hold the control character .x00.*\[option-invalid\]"),
        ("directory", f"{tmp_path}/file", r"Not a directory: .*\[path-unfit\]"),
        ("directory", f"{tmp_path}/file/x", r"cannot be made: Not a directory.*, path-unfit\]"),
        ("files", f"{tmp_path}/file/x", r"cannot be written: Not a directory: .*, path-unfit\]"),
    ):
        restore = saved.restore(restore_target=target, restore_directory=directory)
        check_failed(restore, message)
        left = [text for text in said(restore, "M_ERROR") if "restore-incomplete" in text]
        # Nothing has begun, and Bareos calls no more of the plugin, if options are refused.
        assert len(left) == ("option-invalid" not in message), left
        assert not any("incomplete directory" in text for text in left)
    assert (tmp_path / "file").read_bytes() == b""
