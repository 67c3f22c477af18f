# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What is stored is damaged or not all selected: the restore fails and can be seen to have."""

from __future__ import annotations

import hashlib
import json
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable

import pytest

from bareos_vmsnap.tree import manifest
from vmsnap_lab.filedaemon import JobResult

from .conftest import Saved
from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
from .portrait import Portrait
from .site import Site


def stored_as(site: Site, jobid: int, part: str) -> str:
    """The one stored name with `part` in it."""
    (name,) = (file.name for file in site.daemon.files(jobid) if part in file.name)
    return name


def content(site: Site, jobid: int, name: str) -> bytes:
    with site.daemon.read_file(jobid, name) as stream:
        return stream.read()


def put(site: Site, jobid: int, name: str, new: bytes) -> None:
    """Replace the stored bytes of a file on its volume, which keep their length."""
    with site.daemon.volume_path(jobid).open("r+b") as volume:
        for extent in site.daemon.extents(jobid, name):
            volume.seek(extent.offset)
            volume.write(new[: extent.length])
            new = new[extent.length :]
    assert not new


@contextmanager
def damaged(site: Site, jobid: int, name: str, at: int) -> Iterator[None]:
    """A bit of a stored file is flipped meanwhile, in that byte; negative counts from its end."""
    whole = content(site, jobid, name)
    changed = bytearray(whole)
    changed[at] ^= 0x10
    put(site, jobid, name, bytes(changed))
    try:
        yield
    finally:
        put(site, jobid, name, whole)


def test_a_damaged_segment(saved: Saved) -> None:
    """In magic, version, length, check and text of the header, in data and in the trailer."""
    site, jobid = saved.site, saved.job.jobid
    name = stored_as(site, jobid, "s0002-B/scsi")
    incomplete = "copy (incomplete restore)"
    for at in (0, 8, 12, 20, 100, 20000, -60, -1):
        with damaged(site, jobid, name, at):
            job = saved.restore(vmname="copy")
        check_failed(job, "Segment .*s0002-B/scsi0-0.*vmseg was not restored: ")
        left = f"The restore is not complete. Left behind: the incomplete VM {incomplete} (vm-"
        assert said(job, "M_ERROR")[-1].startswith(left), log(job)
        assert site.vm_names() == [incomplete, "web1"]
        assert site.find(incomplete).snapshot_names == ["A"]
        site.find(incomplete).destroy()


def test_a_damaged_segment_and_the_vm_removed(saved: Saved) -> None:
    site, jobid = saved.site, saved.job.jobid
    with damaged(site, jobid, stored_as(site, jobid, "s0003-C/scsi"), 20000):
        job = saved.restore(vmname="copy", restore_on_failure="remove")
    check_failed(job, "Segment .*s0003-C/scsi0-0.*vmseg was not restored: ")
    assert "Left behind: nothing, the incomplete VM was destroyed" in said(job, "M_ERROR")[-1]
    assert site.vm_names() == ["web1"]


def test_a_damaged_segment_that_comes_from_the_spool(saved: Saved) -> None:
    site = saved.site
    virtual = site.daemon.virtual_full([saved.job.jobid]).jobid
    with damaged(site, virtual, stored_as(site, virtual, "s0002-B/scsi"), 20000):
        job = saved.restore([virtual], vmname="copy")
    check_failed(job, "Segment .*s0002-B/scsi0-0.*vmseg was not restored: ")
    assert site.find("copy (incomplete restore)").snapshot_names == ["A"]


def test_a_damaged_segment_into_a_directory(saved: Saved, tmp_path: Any) -> None:
    site, jobid = saved.site, saved.job.jobid
    options: dict[str, Any] = {
        "restore_target": "directory",
        "restore_directory": str(tmp_path / "there"),
    }
    with damaged(site, jobid, stored_as(site, jobid, "s0002-B/scsi"), 20000):
        check_failed(saved.restore(**options), "s0002-B/scsi0-0.*vmseg was not restored: ")
        assert (tmp_path / "there" / "INCOMPLETE").exists()
        assert not (tmp_path / "there" / "tree.json").exists()
        options["restore_directory"] = str(tmp_path / "gone")
        job = saved.restore(**options, restore_on_failure="remove")
        check_failed(job, "s0002-B/scsi0-0.*vmseg was not restored: ")
        assert not (tmp_path / "gone").exists()


def test_a_segment_in_place_of_another(site: Site) -> None:
    """Whole in itself, and of the right disk and size, but not the one the manifest means."""
    machine = site.create(disks=[MIB])
    root = machine.snapshot("A")
    for number in (1, 2):
        machine.revert(root)
        machine.guest.write(2000, 0, random.Random(number).randbytes(64 << 10))
        machine.snapshot(f"B{number}")
    job = site.backup(compression="none")
    check_ok(job)
    one, other = (stored_as(site, job.jobid, f"-B{number}/scsi") for number in (1, 2))
    put(site, job.jobid, one, content(site, job.jobid, other))
    machine.destroy()
    message = check_failed(site.restore(), "-B1/scsi0-0.* was not restored: segment has node.id")
    assert "wrong-segment" in message
    assert site.find("web1 (incomplete restore)").snapshot_names == ["A"], message


@pytest.mark.parametrize(
    ("left_out", "message", "standing"),
    [
        ("s0001-A/scsi", "1 of 5 segments did not come: .*s0001-A/scsi0-0", None),
        ("s0003-C/scsi", "1 of 5 segments did not come: .*s0003-C/scsi0-0", ["A", "B"]),
        ("state-", "1 of 5 segments did not come: .*/state-", ["A", "B", "C", "D"]),
    ],
)
def test_a_segment_that_was_not_selected(
    saved: Saved, left_out: str, message: str, standing: Any
) -> None:
    job = saved.restore(vmname="copy", select=lambda name: left_out not in name)
    check_failed(job, message + ".*Select them too")
    left = [name for name in saved.site.vm_names() if name != "web1"]
    if standing is None:
        assert left == []
    else:
        assert left == ["copy (incomplete restore)"]
        assert saved.site.find(left[0]).snapshot_names == standing


def test_nvram_that_was_not_selected(saved: Saved) -> None:
    job = saved.restore(vmname="copy", select=lambda name: not name.endswith(".nvram"))
    assert "was not selected: the VM starts with a new NVRAM" in said(job, "M_WARNING")[0]
    assert saved.site.find("copy").portrait().faces == saved.before.faces


@pytest.mark.parametrize("virtual", [False, True])
def test_damaged_nvram(saved: Saved, virtual: bool) -> None:
    """The VM can be had without it."""
    site, jobid = saved.site, saved.job.jobid
    if virtual:
        jobid = site.daemon.virtual_full([jobid]).jobid
    with damaged(site, jobid, stored_as(site, jobid, ".nvram"), -1):
        job = saved.restore([jobid], vmname="copy")
        check_failed(job, "nvram is damaged.*Leave this file out of the selection.*nvram-damaged")
        assert site.vm_names() == ["copy (incomplete restore)", "web1"]
        without = saved.restore(
            [jobid], vmname="other", select=lambda name: not name.endswith(".nvram")
        )
    assert without.status == "T", log(without)
    assert "[nvram-not-selected]" in said(without, "M_WARNING")[0]
    assert site.find("other").portrait().faces == saved.before.faces


def test_no_manifest_at_all(saved: Saved) -> None:
    virtual = saved.site.daemon.virtual_full([saved.job.jobid]).jobid
    job = saved.restore([virtual], vmname="copy", select=lambda name: not name.endswith(".json"))
    check_failed(job, "Nothing was restored: the selection holds no manifest of a VM")
    assert saved.site.vm_names() == ["web1"]


def test_a_damaged_manifest_file(saved: Saved) -> None:
    site = saved.site
    virtual = site.daemon.virtual_full([saved.job.jobid]).jobid
    name = stored_as(site, virtual, ".json")
    whole = content(site, virtual, name)
    for where in (b'"format"', b'"segments"', b"unitNumber", b"VirtualDisk"):
        with damaged(site, virtual, name, whole.index(where) + 2):
            job = saved.restore([virtual], vmname="copy")
        check_failed(job, "manifest")
        assert site.vm_names() == ["web1"]


def test_a_manifest_that_lies_about_a_base(saved: Saved) -> None:
    """Although its digest is right: each segment says itself what it must be applied to."""
    site = saved.site
    virtual = site.daemon.virtual_full([saved.job.jobid]).jobid
    name = stored_as(site, virtual, ".json")
    whole = content(site, virtual, name)
    for lie in (move_node_to_sibling, move_segment_to_sibling, another_disk):
        document = json.loads(whole)
        lie(document)
        false = manifest.sealed({k: v for k, v in document.items() if k not in HEAD})
        assert len(false) == len(whole) and false != whole
        put(site, virtual, name, false)
        job = saved.restore([virtual], vmname="copy")
        put(site, virtual, name, whole)
        message = check_failed(job, r"was not restored: segment has [a-z.]+ .*, expected")
        assert "wrong-segment" in message
        site.find("copy (incomplete restore)").destroy()


def test_a_segment_with_other_data_than_the_manifest_says(saved: Saved) -> None:
    site = saved.site
    virtual = site.daemon.virtual_full([saved.job.jobid]).jobid
    name = stored_as(site, virtual, ".json")
    document = json.loads(content(site, virtual, name))
    for segment in document["segments"].values():
        segment["digest"] = segment["digest"][::-1]
    put(site, virtual, name, manifest.sealed({k: v for k, v in document.items() if k not in HEAD}))
    message = check_failed(
        saved.restore([virtual], vmname="copy"), "not the one the manifest speaks"
    )
    assert "segment-another" in message


HEAD = ("format", "version", "digest")


def move_node_to_sibling(document: dict[str, Any]) -> None:
    """C, a child of B, is said to be one of A, as its segments are."""
    a, b, c, d = (nodes_of(document)[name] for name in "ABCD")
    assert (c["base"], d["base"]) == (b["id"], a["id"])
    c["base"] = a["id"]
    move_segment_to_sibling(document)


def move_segment_to_sibling(document: dict[str, Any]) -> None:
    nodes = nodes_of(document)
    for segment in document["segments"].values():
        if segment["node"] == nodes["C"]["id"]:
            segment["base"] = nodes["A"]["id"]


def another_disk(document: dict[str, Any]) -> None:
    for node in document["nodes"].values():
        for disk in node["disks"]:
            disk["uuid"] = disk["uuid"][::-1]


def nodes_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes by their snapshots' names."""
    names = {live["node"]: live["name"] for live in document["timepoint"]["snapshots"]}
    return {names.get(key, "state"): node for key, node in document["nodes"].items()}


@dataclass
class Chain:
    """A Full and an Incremental of one VM; the portraits are from the lab's storage."""

    site: Site
    jobs: list[int]
    seen: list[Portrait]

    def point(self, number: int) -> str:
        name = stored_as(self.site, self.jobs[number], "/manifest.")
        return name.rpartition("/manifest.")[2][: -len(".json")]

    def check_back(self, number: int, job: JobResult) -> None:
        assert job.status in "TW", log(job)
        copy = self.site.find("copy")
        assert copy.portrait().faces == self.seen[number].faces, log(job)
        copy.destroy()

    @contextmanager
    def object_damaged(self, number: int, how: str) -> Iterator[None]:
        """The restore object of one of the jobs is damaged meanwhile."""
        daemon, jobid = self.site.daemon, self.jobs[number]
        (whole,) = (found.data for found in daemon.restore_objects(jobid))
        daemon.replace_object(jobid, 0, DAMAGED[how](whole))
        yield
        daemon.replace_object(jobid, 0, whole)


def bomb(whole: bytes) -> bytes:
    """Some KB that decompress to 200 MiB, with a right checksum."""
    packed = zlib.compress(bytes(200 << 20), 9)
    head = json.loads(whole.partition(b"\n")[0].partition(b" ")[2])
    head["sha256"] = hashlib.sha256(packed).hexdigest()
    return b"vmsnap-manifest " + json.dumps(head).encode() + b"\n" + packed


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "content": lambda whole: whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
    "first line": lambda whole: b"?" + whole[1:],
    "number of pieces": lambda whole: whole.replace(b'"pieces": 1', b'"pieces": 1000000000', 1),
    "missing piece": lambda whole: whole.replace(b'"pieces": 1', b'"pieces": 2', 1),
    "empty": lambda whole: b"",
    "bomb": bomb,
}

# After these an object does not say which manifest it belongs to.
NAMELESS = ("first line", "number of pieces", "empty")


@pytest.fixture(scope="module")
def chain_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    site = Site(tmp_path_factory.mktemp("chain"))
    machine = site.create(disks=[MIB])
    jobs, seen = [], []
    for level in ("Full", "Incremental"):
        machine.scribble(level)
        machine.snapshot(level)
        machine.scribble(f"{level} more")
        seen.append(machine.portrait())
        job = site.backup(level=level)
        check_ok(job)
        jobs.append(job.jobid)
    yield Chain(site, jobs, seen)
    site.close()


@pytest.fixture
def chain(chain_once: Chain) -> Iterator[Chain]:
    yield chain_once
    assert chain_once.site.remains() == []
    assert chain_once.site.vm_names() == ["web1"]


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_restore_object_of_an_older_job(chain: Chain, how: str) -> None:
    with chain.object_damaged(0, how):
        job = chain.site.restore(chain.jobs, vmname="copy")
    chain.check_back(1, job)
    if how not in NAMELESS:  # it is not even looked at
        assert said(job, "M_WARNING") == []
        return
    (message,) = said(job, "M_WARNING")
    assert "It is not needed" in message and "restore-object-unusable" in message


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_restore_object_whose_manifest_file_is_whole(chain: Chain, how: str) -> None:
    with chain.object_damaged(1, how):
        job = chain.site.restore(chain.jobs, vmname="copy")
    chain.check_back(1, job)
    (message,) = said(job, "M_WARNING")
    assert "The manifest's file must come" in message


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_restore_object_of_the_newest_job(chain: Chain, how: str) -> None:
    """Its manifest file was not selected either: the older state may not pass for the newest."""
    newest = f"manifest.{chain.point(1)}.json"
    with chain.object_damaged(1, how):
        selection: dict[str, Any] = {"select": lambda name: not name.endswith(newest)}
        job = chain.site.restore(chain.jobs, vmname="copy", **selection)
        message = check_failed(job, "have an older time point with restore_timepoint")
        assert "manifest-unusable" in message
        job = chain.site.restore(
            chain.jobs, vmname="copy", restore_timepoint=chain.point(0), **selection
        )
    chain.check_back(0, job)


def test_a_damaged_manifest_file_of_an_older_job(chain: Chain) -> None:
    virtual = chain.site.daemon.virtual_full(chain.jobs).jobid
    name = stored_as(chain.site, virtual, f"/manifest.{chain.point(0)}")
    with damaged(chain.site, virtual, name, 2000):
        job = chain.site.restore([virtual], vmname="copy")
        chain.check_back(1, job)
        job = chain.site.restore([virtual], vmname="copy", restore_timepoint=chain.point(0))
        check_failed(job, f"manifest.{chain.point(0)}.*does not match its digest")


def test_a_damaged_manifest_file_of_the_newest_job(chain: Chain) -> None:
    virtual = chain.site.daemon.virtual_full(chain.jobs).jobid
    name = stored_as(chain.site, virtual, f"/manifest.{chain.point(1)}")
    with damaged(chain.site, virtual, name, 2000):
        message = check_failed(
            chain.site.restore([virtual], vmname="copy"), "does not match its dig"
        )
        assert "manifest-unusable, manifest-damaged" in message
        job = chain.site.restore([virtual], vmname="copy", restore_timepoint=chain.point(0))
        chain.check_back(0, job)
