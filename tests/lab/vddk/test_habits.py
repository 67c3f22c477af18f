# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Failures and slowness to order, and the record of calls."""

from __future__ import annotations

import time

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .nbdkit import Site


def test_the_nth_read_fails(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, "first")
    with server.connected() as disk:
        lab.vddk.habits.fail("Read", VixError.FILE_ERROR, nth=3, times=2)
        outcomes = []
        for _ in range(6):
            try:
                outcomes.append(disk.pread(1024, 0)[:1])
            except nbd.Error:
                outcomes.append(None)
        assert outcomes == [b"A", b"A", None, None, b"A", b"A"]
        assert lab.vddk.open_disks[0].ledger.counts().failures == 2
    server.stop()
    assert "asynchronous read failed: A file access error occurred" in server.said()


@pytest.mark.parametrize("call", ["ConnectEx", "Open"])
def test_the_nth_open_fails(site: Site, lab: Lab, guest: Guest, call: str) -> None:
    lab.vddk.habits.fail(call, VixError.HOST_NETWORK_CONN_REFUSED, nth=2)
    server = site.start(guest, "first")
    with server.connected() as disk:
        assert disk.pread(1024, 0)[:1] == b"A"
        with pytest.raises(nbd.Error), server.connected():
            pass
        assert f"VixDiskLib_{call}" in server.said()
        assert "The server refused connection" in server.said()
    assert [made.error for made in lab.vddk.named(call)] == [0, 14009]


def test_a_flush_fails(site: Site, lab: Lab, guest: Guest) -> None:
    with site.opened(guest, readonly=False) as disk:
        disk.pwrite(b"x" * 512, 0)
        lab.vddk.habits.fail("Flush", VixError.DISK_FULL)
        with pytest.raises(nbd.Error):
            disk.flush()
        assert lab.vddk.open_disks[0].ledger.counts().unflushed_writes == 1


def test_failures_are_forgiven(site: Site, lab: Lab, guest: Guest) -> None:
    habits = lab.vddk.habits
    for call in ("InitEx", "ConnectEx", "Open", "Read"):
        habits.fail(call, VixError.FAIL)
    habits.forgive()
    with site.opened(guest, "first") as disk:
        assert disk.pread(1024, 0)[:1] == b"A"
    with pytest.raises(ValueError, match="no call Connect"):
        habits.fail("Connect", VixError.FAIL)


def test_slowness(site: Site, lab: Lab, guest: Guest) -> None:
    lab.vddk.habits.open_delay = 0.3
    started = time.monotonic()
    with site.opened(guest, "first") as disk:
        assert time.monotonic() - started >= 0.3
        lab.vddk.habits.delay = 2.0  # more than a busy machine adds
        started = time.monotonic()
        disk.pread(512, 0)
        assert time.monotonic() - started >= 2.0
        lab.vddk.habits.delay = 0.0
        started = time.monotonic()
        disk.pread(512, 0)
        assert time.monotonic() - started < 2.0


def test_the_record_of_calls(site: Site, lab: Lab, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        disk.pread(1024, 0)
        disk.pread(4096, 0)
    names = ["InitEx", "ConnectEx", "Open", "Close", "Disconnect"]
    calls = lab.vddk.calls
    assert [call.name for call in calls] == names
    assert all(call.error is VixError.OK for call in calls)
    assert len({call.connection for call in calls[1:]}) == 1
    assert calls[0].time <= calls[1].time <= calls[4].time
    connect, opening, close = calls[1].arguments, calls[2].arguments, calls[3].counts
    assert connect["vm"] == f"moref={guest.moref}" and connect["read_only"] == "1"
    assert connect["password"] == "***"
    assert opening == {"path": guest.path(2000, "first"), "flags": "4"}
    assert close is not None
    assert (close.reads, close.read_bytes, close.largest_read) == (2, 5120, 4096)
    assert close.in_flight == 0


def test_processes(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, "first")
    with server.connected():
        pass
    process = lab.vddk.processes[-1]
    assert process.pid == server.process.pid
    assert process.arguments[0] == "nbdkit" and f"libdir={lab.vddk.libdir}" in process.arguments
    assert lab.password not in repr(process)
    assert process.environment["LD_LIBRARY_PATH"].startswith(str(lab.vddk.libdir))
