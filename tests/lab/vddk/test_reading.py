# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks read through nbdkit, as a backup does."""

from __future__ import annotations

import hashlib

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

from .conftest import MIB, take_snapshot
from .nbdkit import Site


def test_a_snapshot_while_the_vm_runs(site: Site, guest: Guest) -> None:
    guest.power_on()
    with site.opened(guest, "first") as disk:
        content = disk.pread(2 * MIB - 512, 0) + disk.pread(2 * MIB, 2 * MIB - 512)
        content += disk.pread(512, 4 * MIB - 512)
    assert hashlib.sha256(content).hexdigest() == guest.sha256(2000, "first")
    assert content[:MIB] == b"A" * MIB


def test_the_current_state_while_the_vm_is_off(site: Site, guest: Guest) -> None:
    with site.opened(guest) as disk:
        assert disk.is_read_only()
        assert disk.pread(2 * MIB, 0) == b"A" * MIB + b"B" * MIB


def test_several_connections_to_one_nbdkit(site: Site, guest: Guest) -> None:
    server = site.start(guest, "first")
    with server.connected() as one, server.connected() as two, server.connected() as three:
        assert [disk.pread(1024, MIB - 512)[:2] for disk in (one, two, three)] == [b"AA"] * 3
        assert len(site.lab.vddk.open_disks) == 3
    server.stop()
    assert [call.error for call in site.lab.vddk.named("Close")] == [0, 0, 0]


def test_several_readers_of_the_current_state(site: Site, guest: Guest) -> None:
    with site.opened(guest) as one, site.opened(guest) as two:
        assert one.pread(512, MIB) == two.pread(512, MIB)


def test_whole_sectors_only(site: Site, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        with pytest.raises(nbd.Error):
            disk.pread(100, 0)
        with pytest.raises(nbd.Error):
            disk.pread(512, 100)
        assert disk.pread(512, 512) == b"A" * 512


@pytest.mark.parametrize("name", ["blank s", "[square] brackets", "Grüße €", "100%25 a=b"])
def test_names(site: Site, lab: Lab, name: str) -> None:
    guest = lab.create_vm(name, [MIB])
    guest.write(2000, 0, b"named")
    take_snapshot(lab, guest, "first")
    with site.opened(guest, "first") as disk:
        assert disk.pread(512, 0)[:5] == b"named"
    assert site.lab.vddk.named("Open")[0].arguments["path"] == guest.path(2000, "first")


def test_a_disk_on_another_datastore(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("far", [MIB], datastore="datastore2")
    guest.write(2000, 0, b"far")
    with site.opened(guest) as disk:
        assert disk.pread(512, 0)[:3] == b"far"


@pytest.mark.parametrize("capacity", [MIB, 3 * MIB + 512, 65 * MIB + 37 * 512])
def test_capacities(site: Site, lab: Lab, capacity: int) -> None:
    guest = lab.create_vm(f"of {capacity}", [capacity])
    guest.write(2000, capacity - 512, b"end")
    with site.opened(guest) as disk:
        assert disk.get_size() == capacity
        assert disk.pread(512, capacity - 512)[:3] == b"end"


def test_a_link_alone(site: Site, lab: Lab, guest: Guest) -> None:
    take_snapshot(lab, guest, "second")
    with site.opened(guest, "second", single_link="true") as disk:
        assert disk.pread(512, MIB) == b"B" * 512
        assert disk.pread(512, 0) == bytes(512)
    [close] = lab.vddk.named("Close")
    assert close.counts is not None and close.counts.reads == 2


def test_a_session_cookie_instead_of_a_password(site: Site, guest: Guest) -> None:
    connection = site.lab.connect()
    value = connection._stub.cookie.partition('"')[2].partition('"')[0]
    with site.opened(guest, "first", cookie=value, password="-") as disk:
        assert disk.pread(512, 0) == b"A" * 512
    assert site.lab.vddk.named("ConnectEx")[0].arguments["cookie"] == "***"
    site.lab.vcenter.sessions.expire_all()
    said = site.refusal(guest, "first", cookie=value, password="-")
    assert "Insufficient permissions in the host operating system" in said


def test_an_esxi_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Lab(tmp_path_factory.mktemp("esxi"), flavour="esxi") as lab:
        site = Site(lab, tmp_path_factory.mktemp("nbdkit"))
        guest = lab.create_vm("web", [8 * MIB], datastore=None)
        guest.write(2000, 0, b"host")
        with site.opened(guest) as disk:
            assert disk.pread(4 * MIB, 0)[:4] == b"host"
