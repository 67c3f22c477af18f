# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What VDDK refuses, seen as a failed connection and in nbdkit's messages."""

from __future__ import annotations

from typing import Any

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import MIB, take_snapshot
from .nbdkit import Site

NO_RIGHTS = "Insufficient permissions in the host operating system"
IN_USE = "The file is already in use"
NOT_FOUND = "A file was not found"
NO_ACCESS = "You do not have access rights to this file"
NOT_SUPPORTED = "The operation is not supported"


@pytest.mark.parametrize(
    ("call", "text", "parameters"),
    [
        ("ConnectEx", NO_RIGHTS, {"password": "wrong"}),
        ("ConnectEx", NO_RIGHTS, {"user": "nobody"}),
        ("ConnectEx", NO_RIGHTS, {"cookie": "0123"}),
        ("ConnectEx", "The specified server could not be contacted", {"server": "elsewhere"}),
        ("ConnectEx", "Cannot connect to host", {"port": 1}),
        ("ConnectEx", "Cannot connect to host", {"port": None}),
        ("ConnectEx", "The virtual machine cannot be found", {"vm": "moref=vm-9999"}),
        ("ConnectEx", "One of the parameters was invalid", {"vm": "Lab/vm/web"}),
        ("ConnectEx", "The snapshot was not found", {"snapshot": "snapshot-9999"}),
        ("ConnectEx", "One of the parameters was invalid", {"transports": "fast"}),
        ("Open", "Unknown error", {"thumbprint": "00:" * 19 + "00"}),
        ("Open", "Unknown error", {"thumbprint": None}),
        ("Open", NOT_FOUND, {"file": "[datastore1] no/such.vmdk"}),
        ("Open", NOT_FOUND, {"file": "no path"}),
        ("Open", NO_ACCESS, {"transports": "hotadd:san"}),
    ],
)
def test_wrong_parameters(
    site: Site, guest: Guest, call: str, text: str, parameters: dict[str, Any]
) -> None:
    said = site.refusal(guest, "first", **parameters)
    assert f"VixDiskLib_{call}" in said and text in said
    assert site.lab.vddk.calls[-1].name in (call, "Disconnect")
    assert site.lab.password not in said
    assert site.lab.password not in repr(site.lab.vddk.calls)


def test_a_login_that_is_checked_late(site: Site, guest: Guest) -> None:
    site.lab.vddk.habits.late_login = True
    said = site.refusal(guest, "first", password="wrong")
    assert "VixDiskLib_Open" in said and NO_RIGHTS in said
    with site.opened(guest, "first") as disk:
        assert disk.pread(512, 0) == b"A" * 512


def test_a_snapshot_of_another_vm(site: Site, lab: Lab, guest: Guest) -> None:
    other = lab.create_vm("other of two", [MIB])
    take_snapshot(lab, other, "theirs")
    settings = {"snapshot": other.vm.tree.roots[0].moid}
    assert "The snapshot was not found" in site.refusal(guest, "first", **settings)


def test_a_path_of_another_state(site: Site, guest: Guest) -> None:
    assert NOT_FOUND in site.refusal(guest, "first", file=guest.path(2000))
    assert NOT_FOUND in site.refusal(guest, file=guest.path(2000, "first"))


@pytest.mark.parametrize(
    ("privileges", "readonly", "allowed"),
    [
        (["VirtualMachine.Provisioning.DiskRandomRead"], True, True),
        (["VirtualMachine.Provisioning.DiskRandomRead"], False, False),
        (["VirtualMachine.Provisioning.DiskRandomAccess"], False, True),
        ([], True, False),
    ],
)
def test_privileges(
    site: Site, lab: Lab, guest: Guest, privileges: list[str], readonly: bool, allowed: bool
) -> None:
    user = f"{guest.moref}@lab"
    lab.vcenter.add_user(user, "theirs", privileges)
    settings: dict[str, Any] = {"user": user, "password": "theirs", "readonly": readonly}
    if allowed:
        with site.opened(guest, **settings) as disk:
            assert disk.pread(512, 0) == b"A" * 512
    else:
        assert NO_RIGHTS in site.refusal(guest, **settings)


def test_the_current_state_of_a_running_vm(site: Site, guest: Guest) -> None:
    guest.power_on()
    for readonly in (True, False):
        said = site.refusal(guest, readonly=readonly)
        assert IN_USE in said and "Failed to lock the file" in said


def test_writing_a_snapshot(site: Site, guest: Guest) -> None:
    assert NO_ACCESS in site.refusal(guest, "first", readonly=False)


def test_writing_a_snapshot_fails_as_late_as_the_write(site: Site, guest: Guest) -> None:
    site.lab.vddk.habits.late_write_refusal = True
    with site.opened(guest, "first", readonly=False) as disk:
        assert not disk.is_read_only()
        assert disk.pread(512, 0) == b"A" * 512
        with pytest.raises(nbd.Error):
            disk.pwrite(b"x" * 512, 0)
    assert guest.read(2000, 0, 1, "first") == b"A"


def test_writing_a_parent(site: Site, guest: Guest) -> None:
    said = site.refusal(guest, file=guest.path(2000, "first"), readonly=False)
    assert IN_USE in said


def test_one_writer_and_nobody_beside_him(site: Site, guest: Guest) -> None:
    with site.opened(guest, readonly=False) as disk:
        assert IN_USE in site.refusal(guest, readonly=False)
        assert IN_USE in site.refusal(guest)
        disk.pwrite(b"C" * 512, 0)
    with site.opened(guest) as disk:
        assert IN_USE in site.refusal(guest, readonly=False)
        assert disk.pread(512, 0) == b"C" * 512


def test_a_second_connection_of_the_writer(site: Site, guest: Guest) -> None:
    server = site.start(guest, readonly=False)
    with server.connected():
        with pytest.raises(nbd.Error), server.connected():
            pass
        assert IN_USE in server.said()


def test_a_link_alone_is_for_reading(site: Site, guest: Guest) -> None:
    said = site.refusal(guest, readonly=False, single_link="true")
    assert NOT_SUPPORTED in said
    site.lab.vddk.habits.single_link = False
    assert NOT_SUPPORTED in site.refusal(guest, "first", single_link="true")


def test_a_template_is_not_written(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("a template", [MIB])
    guest.vm.set_template(True, None)
    assert NO_ACCESS in site.refusal(guest, readonly=False)
    with site.opened(guest) as disk:
        assert disk.get_size() == MIB


def test_maintenance(site: Site, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        site.lab.vddk.habits.maintenance = True
        with pytest.raises(nbd.Error):
            disk.pread(512, 0)
    assert "entering maintenance mode" in site.refusal(guest, "first")
    assert site.lab.vddk.named("Open")[-1].error is VixError.HOST_SERVER_SHUTDOWN


def test_a_lab_that_is_gone(site: Site, guest: Guest, tmp_path_factory: Any) -> None:
    libdir = tmp_path_factory.mktemp("lib")
    (libdir / "lib64").symlink_to(site.lab.vddk.libdir / "lib64")
    server = site.start(guest, "first", libdir=libdir)
    assert server.process.wait(60) == 1
    assert "The disk subsystem could not be initialized" in server.said()
