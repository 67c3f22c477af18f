# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Leaves written through nbdkit, as a restore does."""

from __future__ import annotations

import os
import threading

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import MIB, take_snapshot
from .nbdkit import Site

NOT_SUPPORTED = "The operation is not supported"


def test_a_leaf_above_a_snapshot(site: Site, guest: Guest) -> None:
    data = os.urandom(2 * MIB)
    with site.opened(guest, readonly=False) as disk:
        disk.pwrite(data, MIB + 512)
        disk.flush()
        assert disk.pread(2 * MIB, MIB + 512) == data
    assert guest.read(2000, MIB + 512, 2 * MIB) == data
    assert guest.read(2000, MIB, 1, "first") == b"\0"


def test_the_disk_is_free_when_nbdkit_has_ended(site: Site, lab: Lab, guest: Guest) -> None:
    for name in ("second", "third"):
        with site.opened(guest, readonly=False) as disk:
            disk.pwrite(name.encode().ljust(512), 0)
        take_snapshot(lab, guest, name)
    assert guest.read(2000, 0, 6, "second") == b"second"
    assert guest.read(2000, 0, 5, "third") == b"third"


def test_the_lock_goes_with_a_killed_nbdkit(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, readonly=False)
    with server.connected() as disk:
        disk.pwrite(b"K" * 512, 0)
        server.process.kill()
        server.process.wait()
    server.wait_until_closed()
    take_snapshot(lab, guest, "after")
    assert guest.read(2000, 0, 1, "after") == b"K"
    [lost] = lab.vddk.named("Lost")
    assert lost.counts is not None
    assert (lost.counts.writes, lost.counts.unflushed_writes) == (1, 1)


def test_many_writers_on_one_connection(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("wide", [32 * MIB])
    data = os.urandom(32 * MIB)
    with site.opened(guest, readonly=False) as disk:
        threads = [
            threading.Thread(
                target=lambda first: [
                    disk.pwrite(data[at : at + MIB], at) for at in range(first, 32 * MIB, 4 * MIB)
                ],
                args=(number * MIB,),
            )
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        disk.flush()
    assert guest.read(2000, 0, 32 * MIB) == data
    counts = lab.vddk.named("Close")[0].counts
    assert counts is not None
    assert (counts.writes, counts.written_bytes, counts.largest_write) == (32, 32 * MIB, MIB)
    assert (counts.flushes, counts.unflushed_writes) == (1, 0)


def test_requests_in_flight(site: Site, lab: Lab) -> None:
    """They overlap, as each takes long enough for a busy machine to send the others meanwhile."""
    guest = lab.create_vm("deep", [16 * MIB])
    with site.opened(guest, readonly=False) as disk:
        lab.vddk.habits.delay = 1.0
        buffer = nbd.Buffer.from_bytearray(bytearray(b"D" * MIB))
        for number in range(16):
            disk.aio_pwrite(buffer, number * MIB)
        while disk.aio_in_flight():
            disk.poll(-1)
        [opened] = lab.vddk.open_disks
        assert opened.ledger.counts().most_in_flight >= 8
    assert guest.read(2000, 15 * MIB, 4) == b"DDDD"


@pytest.mark.parametrize("write", [True, False])
def test_san(site: Site, lab: Lab, guest: Guest, write: bool) -> None:
    lab.vddk.habits.transports = ("san", "nbdssl", "nbd")
    if write:
        assert NOT_SUPPORTED in site.refusal(guest, readonly=False, transports="san:nbd")
        with site.opened(guest, readonly=False, transports="nbd") as disk:
            disk.pwrite(b"N" * 512, 0)
    else:
        with site.opened(guest, "first", transports="san:nbd") as disk:
            assert disk.pread(512, 0) == b"A" * 512
            assert lab.vddk.open_disks[0].transport == "san"


def test_san_writes_a_vm_without_snapshots(site: Site, lab: Lab) -> None:
    lab.vddk.habits.transports = ("san",)
    guest = lab.create_vm("flat", [MIB])
    with site.opened(guest, readonly=False, transports="san") as disk:
        disk.pwrite(b"S" * 512, 0)


def test_the_first_transport_that_works(site: Site, lab: Lab, guest: Guest) -> None:
    for wanted, got in (("nbd:nbdssl", "nbd"), ("hotadd:nbdssl", "nbdssl"), (None, "nbdssl")):
        with site.opened(guest, "first", transports=wanted):
            assert lab.vddk.open_disks[0].transport == got


def test_a_full_datastore(site: Site, lab: Lab, guest: Guest) -> None:
    with site.opened(guest, readonly=False) as disk:
        lab.vddk.habits.fail("Write", VixError.DISK_FULL, nth=2)
        disk.pwrite(b"1" * 512, 0)
        with pytest.raises(nbd.Error):
            disk.pwrite(b"2" * 512, 0)
        disk.pwrite(b"3" * 512, 512)
    assert guest.read(2000, 0, 1) == b"1"
