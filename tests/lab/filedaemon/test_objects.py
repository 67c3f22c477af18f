# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Restore objects: how they are stored, and what too large ones do."""

from __future__ import annotations

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import regular, restore_object


@pytest.mark.parametrize(
    ("data", "compression", "shorter"),
    [(b"x" * 1000, 0, False), (b"x" * 1001, 1, True), (bytes(range(256)) * 4, 1, True)],
)
def test_compressed_if_that_helps(data: bytes, compression: int, shorter: bool) -> None:
    from vmsnap_lab.filedaemon import restore_objects

    header = {"name": "o", "plugin": "python3:", "type": 25, "index": 1}
    packed = restore_objects.pack(1, header, data)
    assert (packed.compression, len(packed.stored) < len(data)) == (compression, shorter)
    assert (packed.data, packed.length) == (data, len(data))


def test_size_that_just_fits(fd: FileDaemon, script: tracer.Script) -> None:
    """The limit is on the stored size: random bytes do not get smaller."""
    assert fd.backup(script.write(restore_object("o", size=999_000))).status == "T"
    fd.backup(script.write(), level="Incremental")
    (got,) = [call for call in script.calls() if call["call"] == "restore_object_data"]
    assert (got["length"], got["same"]) == (999_000, True)


def test_too_large_for_a_message(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.backup(script.write(restore_object("o", size=1_000_000), regular("/@D/x")))
    assert result.status == "W"
    assert any("Malformed message" in message.text for message in result.messages)
    assert [(found.name, found.length) for found in fd.restore_objects(result.jobid)] == [("o", 0)]


def test_too_large_for_the_director(fd: FileDaemon, script: tracer.Script) -> None:
    result = fd.backup(script.write(restore_object("o", size=10_000_000), regular("/@D/x")))
    assert result.status == "f"
    assert result.crash is not None
    assert "Director" in result.crash
    assert fd.files(result.jobid) == []


def test_a_replaced_object(fd: FileDaemon, script: tracer.Script) -> None:
    job = fd.backup(script.write(restore_object("o", 1), restore_object("p", 2)))
    fd.replace_object(job.jobid, 1, b"damaged")
    whole, damaged = fd.restore_objects(job.jobid)
    assert (whole.name, whole.length) == ("o", 50)
    assert (damaged.name, damaged.index, damaged.data) == ("p", 2, b"damaged")


def test_objects_that_are_lost_meanwhile(fd: FileDaemon, script: tracer.Script) -> None:
    job = fd.backup(script.write(restore_object("o", 1), restore_object("p", 2)))
    whole = fd.restore_objects(job.jobid)
    with fd.without_objects(job.jobid):
        assert fd.restore_objects(job.jobid) == []
    assert fd.restore_objects(job.jobid) == whole
