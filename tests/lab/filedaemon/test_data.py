# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The data of a file: read by the plugin or by the core, stored, damaged, delivered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer
from .tracer import regular

_SIZE = 3_000_001
_MIB = 1024 * 1024


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(_SIZE))
    return path


@pytest.mark.parametrize("in_core", [False, True])
@pytest.mark.parametrize("via", ["io", "file", "pipe"])
def test_same_content_whoever_reads_and_writes(
    via: str, in_core: bool, fd: FileDaemon, script: tracer.Script, source: Path
) -> None:
    item = regular("/@S/x", _SIZE, via=via, source=str(source))
    result = fd.backup(script.write(item))
    assert (result.status, result.bytes) == ("T", _SIZE)
    assert fd.read_file(result.jobid, "/@S/x").read() == source.read_bytes()
    # Short reads of a pipe do not make short records.
    lengths = [extent.length for extent in fd.extents(result.jobid, "/@S/x")]
    assert lengths == [262144] * 11 + [_SIZE - 11 * 262144]
    script.write(restore_in_core=in_core)
    assert fd.restore([result.jobid]).status == "T"
    assert script.restored() == [source.read_bytes()]
    calls = [call for call in script.calls() if call["call"] == "plugin_io IO_WRITE"]
    assert [call["count"] for call in calls] == ([] if in_core else lengths)


@pytest.mark.parametrize("end", ["true", "exit 3", "kill -9 $$"])
def test_feeder_that_ends_early_goes_unnoticed(
    end: str, fd: FileDaemon, script: tracer.Script, source: Path
) -> None:
    command = ["sh", "-c", f"head -c 70000 {source}; {end}"]
    item = regular("/@S/x", _SIZE, via="pipe", command=command)
    result = fd.backup(script.write(item, regular("/@S/y")))
    assert result.status == "T"
    assert [(file.name, file.size, file.stored) for file in result.files] == [
        ("/@S/x", _SIZE, 70000),
        ("/@S/y", 1000, 1000),
    ]


def test_descriptor_that_cannot_be_read(
    fd: FileDaemon, script: tracer.Script, tmp_path: Path
) -> None:
    item = regular("/@S/x", via="file", source=str(tmp_path))
    result = fd.backup(script.write(item, regular("/@S/y")))
    assert result.status == "W"
    assert [(file.name, file.stored) for file in result.files] == [("/@S/x", 0), ("/@S/y", 1000)]
    assert any("Read error" in message.text for message in result.messages)


def test_reader_that_dies_during_a_restore(fd: FileDaemon, script: tracer.Script) -> None:
    job = fd.backup(script.write(regular("/@S/x", 600_000), regular("/@S/y"))).jobid
    script.write(restore_in_core=True, sink=["true"])
    result = fd.restore([job])
    assert result.status == "E"
    assert any("Broken pipe" in message.text for message in result.messages)
    assert [call.label for call in result.trace].count("plugin_io IO_CLOSE") == 2


def test_damaged_bytes_are_delivered_as_they_are(
    fd: FileDaemon, script: tracer.Script, source: Path
) -> None:
    item = regular("/@S/x", _SIZE, source=str(source))
    job = fd.backup(script.write(item, regular("/@S/y"))).jobid
    assert fd.damaged(job) == []
    extent = fd.extents(job, "/@S/x")[1]
    with fd.volume_path(job).open("r+b") as volume:
        volume.seek(extent.offset + 5)
        volume.write(b"damage")
    assert fd.damaged(job) == ["/@S/x"]
    script.write()
    assert fd.restore([job]).status == "T"
    restored = script.restored()[0]
    expected = bytearray(source.read_bytes())
    expected[262144 + 5 : 262144 + 11] = b"damage"
    assert restored == expected


def test_volume_that_is_no_volume_any_more(fd: FileDaemon, script: tracer.Script) -> None:
    job = fd.backup(script.write(regular("/@S/x"), regular("/@S/y"))).jobid
    os.truncate(fd.volume_path(job), fd.extents(job, "/@S/y")[0].offset + 1)
    script.write(events=[6])
    result = fd.restore([job])
    assert result.status == "f"
    assert result.trace[-1].label == "handle_plugin_event bEventEndRestoreJob"


@pytest.fixture
def holes(tmp_path: Path) -> Path:
    path = tmp_path / "holes"
    with path.open("wb") as file:
        file.write(b"A" * 100_000)
        file.seek(3_000_000)
        file.write(b"B" * 500_000)
        file.truncate(5_200_000)
    return path


@pytest.mark.parametrize("in_core", [False, True])
@pytest.mark.parametrize("via", ["io", "pipe"])
def test_sparse_data_need_seeks(
    via: str, in_core: bool, fd: FileDaemon, script: tracer.Script, holes: Path
) -> None:
    item = regular("/@S/x", 5_200_000, via=via, source=str(holes))
    result = fd.backup(script.write(item), sparse=True)
    assert result.bytes < 2_000_000
    assert {
        call.arguments["count"] for call in result.trace if call.label == "plugin_io IO_READ"
    } <= {262136}
    assert fd.read_file(result.jobid, "/@S/x").read() == holes.read_bytes()
    script.write(seek=True, restore_in_core=in_core)
    assert fd.restore([result.jobid]).status == "T"
    assert script.restored() == [holes.read_bytes()]
    # A plugin that ignores IO_SEEK loses the holes, and nobody notices.
    script.write(restore_in_core=in_core)
    assert fd.restore([result.jobid]).status == "T"
    assert len(script.restored()[0]) < 2_000_000


def test_sparse_needs_the_declared_size(fd: FileDaemon, script: tracer.Script, holes: Path) -> None:
    item = regular("/@S/x", 5_200_000, source=str(holes), declared=0)
    assert fd.backup(script.write(item), sparse=True).bytes > 5_200_000


_STREAM = """
import json, resource, sys
from pathlib import Path
from vmsnap_lab.filedaemon import FileDaemon
fd = FileDaemon(sys.argv[1], plugin_path=sys.argv[2])
results = [fd.backup(sys.argv[3]), fd.restore([1])]
# ru_maxrss of this process would count what the test runner had before it started this program.
own = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
peaks = [int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps([[result.status, result.bytes] for result in results] + peaks))
"""


def test_memory_stays_flat(script: tracer.Script, tmp_path: Path) -> None:
    """300 MiB through both processes, back and forth."""
    size = 300 * _MIB
    command = ["head", "-c", str(size), "/dev/zero"]
    plugin = script.write(regular("/@S/x", size, via="pipe", command=command), sink=["cat"])
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", _STREAM, tmp_path / "fd", tracer.PLUGINS, plugin],
        check=True,
        capture_output=True,
        cwd=root,
    )
    backup, restore, own_peak, jobs_peak = json.loads(ran.stdout)
    assert backup == restore == ["T", size]
    assert own_peak < 100 * 1024  # KiB
    assert jobs_peak < 100 * 1024
    (tmp_path / "fd/volumes/job-000001").unlink()


@pytest.mark.parametrize("size", [0, 1, 700_000, _SIZE + 5])
def test_data_that_are_others_meanwhile(
    size: int, fd: FileDaemon, script: tracer.Script, source: Path
) -> None:
    items = (regular("/@S/x", _SIZE, via="io", source=str(source)), regular("/@S/y", 10))
    job = fd.backup(script.write(*items)).jobid
    y = fd.read_file(job, "/@S/y").read()
    others = os.urandom(size)
    with fd.replaced_file(job, "/@S/x", others):
        assert fd.damaged(job) == []
        assert fd.restore([job]).status == "T"
        assert script.restored() == [others, y]
    assert fd.read_file(job, "/@S/x").read() == source.read_bytes()
