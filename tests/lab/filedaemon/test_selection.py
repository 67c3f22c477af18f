# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a restore brings back, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import directory, regular, restore_object


@pytest.fixture
def chain(fd: FileDaemon, script: tracer.Script) -> list[int]:
    """A Full and two Incrementals."""
    jobs = [
        ("Full", [restore_object("F-2", 2), restore_object("F-1", 1), directory("/@D/"),
                  regular("/@D/base", 5000), regular("/@D/same", 111)]),
        ("Incremental", [restore_object("I1-1", 1), regular("/@D/i1", 600), regular("/@D/same", 222)]),
        ("Incremental", [restore_object("I2-2", 2), restore_object("I2-1", 1),
                         regular("/@D/i2", 700), directory("/@D/")]),
    ]  # fmt: skip
    return [fd.backup(script.write(*items), level=level).jobid for level, items in jobs]


def _created(script: tracer.Script) -> list[Any]:
    return [call["ofname"] for call in script.calls() if call["call"] == "create_file"]


def test_job_by_job_newest_version_only(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    script.write()
    result = fd.restore(chain[::-1])
    assert result.status == "T"
    assert _created(script) == ["/@D/base", "/@D/i1", "/@D/same", "/@D/i2", "/@D/"]
    assert [len(content) for content in script.restored()] == [5000, 600, 222, 700]


def test_current_is_the_whole_chain(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    script.write()
    result = fd.restore()
    assert {file.jobid for file in result.files} == set(chain)


def test_objects_of_all_jobs_by_index(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    script.write()
    fd.restore(chain, select=lambda name: name == "/@D/i2")
    objects = [call for call in script.calls() if call["call"] == "restore_object_data"]
    assert [(call["name"], call["jobid"]) for call in objects] == [
        ("F-1", chain[0]),
        ("I1-1", chain[1]),
        ("I2-1", chain[2]),
        ("F-2", chain[0]),
        ("I2-2", chain[2]),
    ]
    assert _created(script) == ["/@D/i2"]


def test_differential_replaces_the_incrementals_before_it(
    fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    differential = fd.backup(script.write(regular("/@D/d")), level="Differential").jobid
    last = fd.backup(script.write(regular("/@D/last")), level="Incremental").jobid
    script.write()
    result = fd.restore()
    assert sorted({file.jobid for file in result.files}) == [chain[0], differential, last]


def test_new_full_starts_anew(fd: FileDaemon, script: tracer.Script, chain: list[int]) -> None:
    full = fd.backup(script.write(regular("/@D/new"))).jobid
    script.write()
    assert {file.jobid for file in fd.restore().files} == {full}


@pytest.mark.parametrize(
    ("where", "prefix"), [("/", ""), ("/restore", "/restore"), ("/restore/", "/restore/")]
)
def test_where(
    where: str, prefix: str, fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    script.write()
    fd.restore(chain[1:2], where=where)
    assert _created(script) == [f"{prefix}/@D/i1", f"{prefix}/@D/same"]
    created = next(call for call in script.calls() if call["call"] == "create_file")
    assert created["where"] == ("" if where == "/" else where)


@pytest.mark.parametrize(
    ("policy", "letter"), [("always", "a"), ("ifnewer", "w"), ("ifolder", "o"), ("never", "n")]
)
def test_replace_is_only_passed_on(
    policy: str, letter: str, fd: FileDaemon, script: tracer.Script, chain: list[int]
) -> None:
    script.write()
    fd.restore(chain[:1], replace=policy)
    created = [call for call in script.calls() if call["call"] == "create_file"]
    assert {chr(call["replace"]) for call in created} == {letter}
    assert len(created) == 3


def test_nothing_to_restore(fd: FileDaemon, chain: list[int]) -> None:
    with pytest.raises(LookupError):
        fd.restore(chain, select=lambda name: False)
    with pytest.raises(LookupError):
        fd.restore([99])
    with pytest.raises(LookupError):
        fd.restore(name="another-job")


def test_names_come_back_as_they_were(fd: FileDaemon, script: tracer.Script) -> None:
    names = [
        "/@N/" + "a" * 1204,
        "/@N/" + "/".join(["b" * 200] * 10),
        "/@N/目录 😀/" + "文" * 400,
        "/@N/ []:;=%20%s%n\"'\\,|\t\x01",
        "/@N/new\nline",
    ]
    job = fd.backup(script.write(*[regular(name, 10) for name in names])).jobid
    assert [file.name for file in fd.files(job)] == names
    script.write()
    assert fd.restore([job]).status == "T"
    assert _created(script) == names


def test_core_creates_what_the_plugin_leaves_to_it(
    fd: FileDaemon, script: tracer.Script, tmp_path: Any
) -> None:
    """CF_CORE: folders and links are made on this host, the content still goes to the plugin."""
    items = [
        directory("/in/"),
        regular("/in/deep/file", 1000),
        tracer.link("/in/link", "deep/file"),
    ]
    job = fd.backup(script.write(*items)).jobid
    faults = [{"at": "create_file", "nth": n, "create_status": "CF_CORE"} for n in (1, 2, 3)]
    script.write(faults=faults)
    result = fd.restore([job], where=str(tmp_path / "core"))
    assert result.status == "T"
    assert (tmp_path / "core/in/deep").is_dir()
    assert (tmp_path / "core/in/link").readlink().as_posix() == "deep/file"
    assert len(script.restored()[0]) == 1000
