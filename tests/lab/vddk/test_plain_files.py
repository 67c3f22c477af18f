# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks whose data the library takes from a raw file."""

from __future__ import annotations

from pathlib import Path

import nbd
import pytest

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import MIB
from .nbdkit import Site, extents


@pytest.fixture
def file(lab: Lab, guest: Guest, tmp_path: Path) -> Path:
    """For the guest's disk, at "first" and now: a hole, then a MiB of C, then a hole."""
    made = tmp_path / "disk.raw"
    made.write_bytes(bytes(4 * MIB))
    with made.open("wb") as written:
        written.truncate(4 * MIB)
        written.seek(MIB)
        written.write(b"C" * MIB)
    lab.vddk.plain_files.clear()
    lab.vddk.plain_files.update({guest.path(2000, state): made for state in ("first", None)})
    return made


@pytest.mark.usefixtures("file")
def test_reading(site: Site, guest: Guest) -> None:
    with site.opened(guest, "first") as handle:
        assert handle.pread(MIB + 512, MIB - 512) == bytes(512) + b"C" * MIB
        assert [flags for _, _, flags in extents(handle)] == [3, 0, 3]


def test_writing(site: Site, lab: Lab, guest: Guest, file: Path) -> None:
    with site.opened(guest, readonly=False) as handle:
        cookies = [handle.aio_pwrite(bytes([65 + n]) * MIB, n * MIB) for n in range(4)]
        for cookie in cookies:
            while not handle.aio_command_completed(cookie):
                handle.poll(-1)
        handle.flush()
        assert file.read_bytes() == b"".join(bytes([65 + n]) * MIB for n in range(4))
    counts = lab.vddk.named("Close")[-1].counts
    assert counts is not None and counts.written_bytes == 4 * MIB and counts.in_flight == 0
    assert guest.read(2000, 0, MIB) == b"A" * MIB


def test_rules_hold_and_failures_come_all_the_same(
    site: Site, lab: Lab, guest: Guest, file: Path
) -> None:
    assert "You do not have access rights" in site.refusal(guest, "first", readonly=False)
    lab.vddk.habits.fail("Read", VixError.HOST_TCP_CONN_LOST, nth=2)
    with site.opened(guest, "first") as handle:
        assert handle.pread(512, MIB) == b"C" * 512
        with pytest.raises(nbd.Error):
            handle.pread(512, MIB)
        assert handle.pread(512, MIB) == b"C" * 512


def test_a_file_that_is_missing(site: Site, guest: Guest, file: Path) -> None:
    file.unlink()
    site.refusal(guest, "first")
