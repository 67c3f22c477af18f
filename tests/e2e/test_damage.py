# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What is stored is damaged or not all selected: the restore fails and can be seen to have."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import Saved
from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
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
    told = check_failed(site.restore(), "-B1/scsi0-0.* is not the one the manifest speaks of")
    assert site.find("web1 (incomplete restore)").snapshot_names == ["A"], told


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
