# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""VirtualFull, Consolidate and Copy: what they carry over and what builds on them."""

from __future__ import annotations

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import regular, restore_object


@pytest.fixture
def chain(fd: FileDaemon, script: tracer.Script) -> list[int]:
    jobs = [
        ("Full", [restore_object("F"), regular("/@D/base", 5000), regular("/@D/same", 111)]),
        ("Incremental", [restore_object("I1"), regular("/@D/i1", 600)]),
        ("Incremental", [restore_object("I2"), regular("/@D/same", 222)]),
    ]
    return [fd.backup(script.write(*items), level=level).jobid for level, items in jobs]


def _objects(script: tracer.Script) -> list[str]:
    return [call["name"] for call in script.calls() if call["call"] == "restore_object_data"]


def test_virtual_full_has_the_files_and_no_objects(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    made = fd.virtual_full(chain)
    assert (made.level, made.type, made.status) == ("F", "B", "T")
    assert made.start_time == fd.job(chain[-1]).start_time
    assert [(file.name, file.stored) for file in fd.files(made.jobid)] == [
        ("/@D/base", 5000),
        ("/@D/i1", 600),
        ("/@D/same", 222),
    ]
    assert fd.restore_objects(made.jobid) == []
    script.write()
    assert fd.restore().status == "T"  # the current state is the VirtualFull
    assert _objects(script) == []
    assert [len(content) for content in script.restored()] == [5000, 600, 222]


@pytest.mark.parametrize("level", ["Incremental", "Differential"])
def test_next_job_after_a_virtual_full_has_no_state(
    level: str, fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    fd.virtual_full(chain)
    result = fd.backup(script.write(regular("/@D/next")), level=level)
    assert result.level == level[0]
    assert _objects(script) == []


def test_incremental_may_get_the_state_of_the_last_job_in_the_virtual_full(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    fd.virtual_full(chain)
    fd.backup(script.write(regular("/@D/next")), level="Incremental", base=chain[-1])
    assert _objects(script) == ["I2"]


def test_consolidate(fd: FileDaemon, script: tracer.Script, chain: list[int]) -> None:
    made = fd.virtual_full(chain[1:], purge=True)
    assert made.level == "I"
    assert [job.jobid for job in fd.jobs()] == [chain[0], made.jobid]
    script.write()
    assert fd.restore().status == "T"
    assert _objects(script) == ["F"]
    assert [len(content) for content in script.restored()] == [5000, 600, 222]


def test_copy_has_the_objects_too(fd: FileDaemon, script: tracer.Script, chain: list[int]) -> None:
    made = fd.copy_job(chain[0])
    assert made.type == "C"
    script.write()
    assert fd.restore([made.jobid]).status == "T"
    assert _objects(script) == ["F"]
    script.write()
    assert {file.jobid for file in fd.restore().files} == set(chain)  # nobody asks for a copy


def test_damage_is_carried_along(fd: FileDaemon, script: tracer.Script, chain: list[int]) -> None:
    extent = fd.extents(chain[0], "/@D/base")[0]
    with fd.volume_path(chain[0]).open("r+b") as volume:
        volume.seek(extent.offset)
        volume.write(b"damage")
    made = fd.virtual_full(chain)
    assert fd.damaged(made.jobid) == ["/@D/base"]
    assert fd.read_file(made.jobid, "/@D/base").read(6) == b"damage"
