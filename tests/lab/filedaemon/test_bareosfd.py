# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The stand-in for the bareosfd module. A real bareosfd 25.1.0 answered the same."""

from __future__ import annotations

import time
from typing import Any

import pytest

from vmsnap_lab.filedaemon.bareos_modules import bareosfd


def test_stat_packet_by_default() -> None:
    packet = bareosfd.StatPacket()
    assert (packet.st_mode, packet.st_size, packet.st_blksize, packet.st_blocks) == (
        0o100700,
        2**64 - 1,
        4096,
        1,
    )
    assert abs(packet.st_mtime - time.time()) < 5
    assert (packet.st_nlink, packet.st_dev, packet.st_ino) == (0, 0, 0)


def test_stat_packet_by_its_constructor() -> None:
    packet = bareosfd.StatPacket(1, 2, mode=0o100644, size=-5, uid=-1, mtime=-7)
    assert (packet.st_dev, packet.st_ino, packet.st_mode) == (1, 2, 0o100644)
    assert (packet.st_size, packet.st_uid, packet.st_mtime) == (2**64 - 5, 2**32 - 1, -7)
    with pytest.raises(TypeError):
        bareosfd.StatPacket(st_mode=0o100644)
    with pytest.raises(TypeError):
        bareosfd.StatPacket(mtime=1.5)
    with pytest.raises(OverflowError):
        bareosfd.StatPacket(mtime=2**64)


@pytest.mark.parametrize(
    ("kind", "name", "value", "error"),
    [
        (bareosfd.StatPacket, "st_mtime", 1.5, TypeError),
        (bareosfd.StatPacket, "st_mtime", None, TypeError),
        (bareosfd.StatPacket, "st_size", -1, OverflowError),
        (bareosfd.StatPacket, "st_size", 2**64, OverflowError),
        (bareosfd.SavePacket, "type", "3", TypeError),
        (bareosfd.SavePacket, "no_read", 1, TypeError),
        (bareosfd.SavePacket, "cmd", "x", TypeError),
        (bareosfd.SavePacket, "nonsense", 1, AttributeError),
        (bareosfd.RestorePacket, "ofname", "x", TypeError),
        (bareosfd.RestorePacket, "jobid", 1, AttributeError),
        (bareosfd.RestorePacket, "attrEx", "", AttributeError),
        (bareosfd.IoPacket, "fname", "x", TypeError),
        (bareosfd.IoPacket, "status", None, TypeError),
        (bareosfd.AclPacket, "fname", "x", TypeError),
    ],
)
def test_attributes_that_cannot_be_set(
    kind: type, name: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        setattr(kind(), name, value)


@pytest.mark.parametrize(
    ("kind", "name", "value", "stored"),
    [
        (bareosfd.StatPacket, "st_mode", 2**16 + 5, 5),
        (bareosfd.SavePacket, "type", 2**31, -(2**31)),
        (bareosfd.SavePacket, "save_time", -1, 2**32 - 1),
    ],
)
def test_small_members_wrap_around(kind: type, name: str, value: int, stored: int) -> None:
    packet = kind()
    with pytest.warns(RuntimeWarning, match="Truncation"):
        setattr(packet, name, value)
    assert getattr(packet, name) == stored


def test_deleted_objects_read_as_none() -> None:
    packet = bareosfd.SavePacket()
    packet.fname = "/x"
    del packet.fname
    assert packet.fname is None
    with pytest.raises(TypeError):
        del packet.type


@pytest.mark.parametrize(
    "kind",
    [
        bareosfd.RestorePacket,
        bareosfd.RestoreObject,
        bareosfd.IoPacket,
        bareosfd.AclPacket,
        bareosfd.XattrPacket,
    ],
)
def test_packets_without_a_working_constructor(kind: Any) -> None:
    kind()
    with pytest.raises(SystemError):
        kind(1)


def test_functions_need_the_jobs_thread() -> None:
    """A test's thread is as foreign to the file daemon as one that a plugin started."""
    packet = bareosfd.SavePacket()
    calls: list[Any] = [
        lambda: bareosfd.JobMessage(bareosfd.M_INFO, "x"),
        lambda: bareosfd.DebugMessage(100, "x"),
        lambda: bareosfd.GetValue(bareosfd.bVarJobId),
        lambda: bareosfd.SetValue(bareosfd.bVarCheckChanges, False),
        lambda: bareosfd.RegisterEvents([6]),
        lambda: bareosfd.GetInstanceCount(),
        lambda: bareosfd.CheckChanges(packet),
        lambda: bareosfd.NewOptions(),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="plugin_ctx is unset"):
            call()


def test_bad_arguments() -> None:
    functions: Any = bareosfd  # mypy would object
    with pytest.raises(TypeError):
        functions.GetValue("bVarJobId")
    with pytest.raises(TypeError):
        functions.JobMessage(bareosfd.M_INFO, b"bytes")
    with pytest.raises(ValueError, match="null"):
        bareosfd.JobMessage(bareosfd.M_INFO, "a\0b")
    with pytest.raises(UnicodeEncodeError):
        bareosfd.JobMessage(bareosfd.M_INFO, "\udc80")
    with pytest.raises(SystemError):
        functions.SetValue("bVarCheckChanges", False)


def test_tables() -> None:
    assert bareosfd.bRCs[b"bRC_Skip"] == bareosfd.bRC_Skip == 7
    assert bareosfd.bIOPstatus == {
        b"iostat_error": -1,
        b"iostat_do_in_plugin": 0,
        b"iostat_do_in_core": 1,
    }
    assert bareosfd.bLevels[b"L_FULL"] == b"F"
    assert len(bareosfd.bEventType) == 31
    assert len(bareosfd.bFileType) == 28
