# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What VDDK refuses, and which message an admin gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bareos_vmsnap import transport
from bareos_vmsnap.mover.child.errors import NbdError
from bareos_vmsnap.transport import TransportError, server
from bareos_vmsnap.transport.disks import VddkDisk
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError, plugin

from .vddk import SECRET, described, opened

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


def failure(description: VddkDisk, *, writable: bool = False) -> str:
    with (
        pytest.raises((NbdError, TransportError)) as caught,
        opened(description, writable=writable),
    ):
        pass
    assert SECRET not in str(caught.value)
    return str(caught.value)


WRONG = [
    ({"password": "wrong"}, r"does not let .* open the disk|refused the login"),
    (
        {"thumbprint": "00" * 20},
        "most often the SHA-1 thumbprint 0{40} is not that of the certificate",
    ),
    ({"vm": "vm-99999"}, "does not know the VM vm-99999"),
    ({"snapshot": "snapshot-99999"}, "the snapshot snapshot-99999 of .* does not exist any more"),
    ({"path": "[datastore1] gone/gone.vmdk"}, "the disk's file does not exist"),
    ({"server": "localhost.invalid"}, "cannot be reached"),
    ({"transports": "hotadd"}, "none of the transports hotadd works here"),
]


@pytest.mark.parametrize(("changed", "problem"), WRONG, ids=[next(iter(c)) for c, _ in WRONG])
def test_what_is_wrong_is_reported_clearly(
    lab: Lab, guest: Guest, habits: Any, changed: dict[str, Any], problem: str
) -> None:
    message = failure(described(lab, guest, **changed))
    assert re.search(problem, message), message


def test_more_that_is_wrong(lab: Lab, guest: Guest, habits: Any) -> None:
    habits.maintenance = True
    assert "shutting down or goes into maintenance mode" in failure(described(lab, guest))
    habits.reset()
    habits.host_memory = 1 << 20
    assert "no room for another NFC connection" in failure(described(lab, guest))
    habits.reset()
    habits.connections = 0
    assert "no room for another NFC connection" in failure(described(lab, guest))
    habits.reset()
    habits.single_link = False
    assert "does not support opening" in failure(described(lab, guest, single_link=True))
    habits.reset()
    habits.fail("Open", VixError.DISK_NOLICENSE)
    assert "licence" in failure(described(lab, guest))


def test_a_locked_disk(lab: Lab, guest: Guest, habits: Any) -> None:
    leaf = described(lab, guest, leaf=True)
    with opened(leaf, writable=True):
        assert "the disk is locked" in failure(leaf, writable=True)
    guest.power_on()
    try:
        assert "the disk is locked" in failure(leaf, writable=True)
    finally:
        guest.power_off()


@pytest.mark.parametrize(
    ("changed", "writable", "problem"),
    [
        ({"password": ""}, False, "password is empty"),
        ({"password": "a\nb"}, False, "has a line break"),
        ({"thumbprint": "00" * 32}, False, "no SHA-1 digest"),
        ({"transports": "nbd:carrier"}, False, "a mode VDDK does not know"),
        ({"transports": "san", "snapshot": None}, True, "SAN cannot write"),
        ({}, True, "of a snapshot is not for writing"),
        ({"libdir": "/nowhere"}, False, r"VDDK .* is not in /nowhere"),
        ({"plugin": "vddk-that-is-not-there"}, False, "nbdkit has no vddk plugin"),
    ],
)
def test_what_is_refused_before_anything_is_opened(
    lab: Lab, guest: Guest, habits: Any, changed: dict[str, Any], writable: bool, problem: str
) -> None:
    calls = len(lab.vddk.calls)
    with (
        pytest.raises(TransportError, match=problem),
        transport.open(described(lab, guest, **changed), writable=writable),
    ):
        pass
    assert not [call for call in lab.vddk.calls[calls:] if call.name in ("ConnectEx", "Open")]
    assert server._running == []


def test_all_messages_are_kept_where_that_is_wanted(
    lab: Lab, guest: Guest, habits: Any, tmp_path: Path
) -> None:
    log = tmp_path / "job.log"
    failure(described(lab, guest, log=str(log), password="wrong:password"))
    with opened(described(lab, guest, log=str(log), debug=True)):
        pass
    text = log.read_text()
    assert "VixDiskLib_ConnectEx" in text
    assert "debug: " in text
    assert f"{guest.moref} snapshot-" in text
    assert "wrong:password" not in text
    assert SECRET not in text


def test_a_library_that_cannot_be_loaded(
    lab: Lab, guest: Guest, habits: Any, tmp_path: Path
) -> None:
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvixDiskLib.so.8").write_text("no library")
    message = failure(described(lab, guest, libdir=str(tmp_path)))
    assert f"VDDK in {tmp_path} cannot be loaded" in message


def test_a_library_that_is_newer_than_the_plugin(lab: Lab, guest: Guest, tmp_path: Path) -> None:
    """VDDK 9 alone; a plugin that knows it tells that this one is no library."""
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libvixDiskLib.so.9").touch()
    message = failure(described(lab, guest, libdir=str(tmp_path)))
    assert re.search("does not load the VDDK|cannot be loaded", message), message
