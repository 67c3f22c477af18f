# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Connections, buffers, idleness."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import MIB
from .nbdkit import Site

REFUSED = "The server refused connection"
NO_MEMORY = "Memory allocation failed. Out of memory."


@pytest.mark.parametrize("limit", ["connections", "host_disks"])
def test_connections(site: Site, lab: Lab, guest: Guest, limit: str) -> None:
    setattr(lab.vddk.habits, limit, 3)
    server = site.start(guest, "first")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(server.connected())
        assert REFUSED in site.refusal(guest, "first")
    with site.opened(guest, "first"):
        pass


def test_connections_of_a_killed_nbdkit_are_free(site: Site, lab: Lab, guest: Guest) -> None:
    lab.vddk.habits.connections = 1
    server = site.start(guest, "first")
    with server.connected():
        server.process.kill()
        server.process.wait()
    server.wait_until_closed()
    with site.opened(guest, "first"):
        pass


def test_buffers_of_a_host(site: Site, lab: Lab, guest: Guest, tmp_path: Path) -> None:
    config = tmp_path / "vddk.conf"
    config.write_text(
        "vixDiskLib.nfcAio.Session.BufSizeIn64KB=16\nvixDiskLib.nfcAio.Session.BufCount = 4\n"
    )
    lab.vddk.habits.host_memory = 9 * MIB
    with site.opened(guest, "first", config=config), site.opened(guest, "first", config=config):
        said = site.refusal(guest, "first", config=config)
        assert NO_MEMORY in said and "Failed to allocate the requested 4194304 bytes" in said
        with site.opened(guest, "first"):  # with the default buffers it fits
            assert [disk.buffers for disk in lab.vddk.open_disks] == [4 * MIB, 4 * MIB, MIB // 4]


def test_a_bad_configuration(site: Site, guest: Guest, tmp_path: Path) -> None:
    config = tmp_path / "vddk.conf"
    config.write_text("vixDiskLib.nfcAio.Session.BufCount=many\n")
    server = site.start(guest, "first", config=config)
    assert server.process.wait(60) == 1
    assert "invalid value many" in server.said()


def test_large_requests(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, "first")
    with server.connected() as disk:
        assert len(disk.pread(2 * MIB, 0)) == 2 * MIB
        with pytest.raises(nbd.Error):
            disk.pread(2 * MIB + 512, 0)
        assert NO_MEMORY in server.said() and "NFC error 5" in server.said()
        lab.vddk.habits.largest_request = 0
        assert len(disk.pread(4 * MIB, 0)) == 4 * MIB


def test_requests_in_flight(site: Site, lab: Lab, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        lab.vddk.habits.most_in_flight = 2
        lab.vddk.habits.delay = 2.0  # so the first two are still in flight when the third comes
        results: list[int] = []

        def note(error: Any) -> int:
            results.append(error.value)
            return 1

        for number in range(3):
            disk.aio_pread(nbd.Buffer(512), number * 512, note)
        while disk.aio_in_flight():
            disk.poll(-1)
    assert sorted(bool(error) for error in results) == [False, False, True]


def test_an_idle_disk_is_closed(site: Site, lab: Lab, guest: Guest) -> None:
    """The pauses in between are so much shorter that a busy machine does not make up for it."""
    server = site.start(guest, "first")
    with server.connected() as disk:
        lab.vddk.habits.idle = 3.0
        for _ in range(4):  # each read keeps it alive
            time.sleep(0.8)
            disk.pread(512, 0)
        time.sleep(3.1)
        for _ in range(2):
            with pytest.raises(nbd.Error):
                disk.pread(512, 0)
        assert "The connection was lost" in server.said()
    with server.connected() as again:
        assert again.pread(512, 0) == b"A" * 512


def test_a_broken_connection(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, "first")
    with server.connected() as disk:
        disk.pread(512, 0)
        lab.vddk.drop(lab.vddk.open_disks[0])
        for _ in range(2):
            with pytest.raises(nbd.Error):
                disk.pread(512, 0)
        assert "The connection was lost" in server.said()
    with server.connected() as again:
        assert again.pread(512, 0) == b"A" * 512


def test_the_retry_filter_opens_it_again(site: Site, lab: Lab, guest: Guest) -> None:
    server = site.start(guest, "first", filters=("retry",), retry_delay=1)
    with server.connected() as disk:
        lab.vddk.habits.fail("Read", VixError.HOST_TCP_CONN_LOST)
        assert disk.pread(512, 0) == b"A" * 512
    assert len(lab.vddk.named("Open")) == 2
