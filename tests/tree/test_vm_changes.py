# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What somebody else did to a VM, from its condition before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bareos_vmsnap.tree import segment_header, vm_changes
from bareos_vmsnap.tree.vm_changes import Condition, SnapshotEntry

DISK = segment_header.Disk(2000, "scsi0-0", "Hard disk 1", "[d] vm/vm-1.vmdk", "u", 512)
A, B = SnapshotEntry("A", "", None), SnapshotEntry("B", "about B", "a")
LEFT = Condition({"a": A, "b": B}, "b", "poweredOff", {2000: DISK}, "3/job", {"memory": "4"}, {})


def deeds(**changes: Any) -> list[str]:
    found = vm_changes.differences("web1", LEFT, replace(LEFT, **changes))
    return [difference.deed for difference in found]


def test_nothing() -> None:
    assert deeds() == []
    assert vm_changes.moved(LEFT, LEFT.paths) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"current": "a"}, ["reverted VM web1 to the snapshot 'A'"]),
        ({"current": "a", "mark": "1/job"}, ["reverted VM web1 to the snapshot 'A'"]),
        ({"mark": "2/job"}, ["reverted VM web1 to the snapshot 'B'"]),
        ({"mark": None}, ["reverted VM web1 to the snapshot 'B'"]),
        (
            {"snapshots": {"a": A}, "current": "a"},
            ["deleted the snapshot 'B' of VM web1"],
        ),
        (
            {"snapshots": {"b": replace(B, parent=None)}},
            ["deleted the snapshot 'A' of VM web1"],
        ),
        (
            {"snapshots": {}, "current": None, "mark": None},
            [
                "deleted the snapshot 'A' of VM web1",
                "deleted the snapshot 'B' of VM web1",
                "reverted VM web1 to a state without snapshots",
            ],
        ),
        (
            {"snapshots": {"a": A, "b": B, "n": SnapshotEntry("nightly", "", "b")}, "current": "n"},
            ["took a snapshot 'nightly' of VM web1"],
        ),
        (
            {"snapshots": {"a": A, "b": replace(B, name="C")}},
            ["renamed the snapshot 'B' of VM web1 to 'C'"],
        ),
        (
            {"snapshots": {"a": A, "b": replace(B, description="")}},
            ["changed the description of the snapshot 'B' of VM web1"],
        ),
        (
            {"snapshots": {"a": A, "b": replace(B, parent=None)}},
            ["moved the snapshot 'B' of VM web1 below a state without snapshots"],
        ),
        (
            {"power_state": "poweredOn"},
            ["changed the power state of VM web1 (poweredOff to poweredOn)"],
        ),
        ({"disks": {}}, ["changed the disks of VM web1 (scsi0-0 is gone)"]),
        (
            {"disks": {2000: DISK, 2001: replace(DISK, key=2001, slot="scsi0-1")}},
            ["changed the disks of VM web1 (scsi0-1 is new)"],
        ),
        (
            {"disks": {2000: replace(DISK, slot="scsi0-3")}},
            ["changed the disks of VM web1 (scsi0-0 of 512 bytes is scsi0-3 of 512)"],
        ),
        (
            {"disks": {2000: replace(DISK, uuid="v")}},
            ["changed the disks of VM web1 (scsi0-0 is another disk)"],
        ),
        (
            {"hardware": {"memory": "9"}, "devices": {"NIC": "e1000"}},
            ["changed the configuration of VM web1 (memory: 4 to 9, NIC: none to e1000)"],
        ),
        ({"hardware": None}, []),
    ],
)
def test_what_somebody_did(changes: dict[str, Any], expected: list[str]) -> None:
    assert deeds(**changes) == expected


def test_a_snapshot_of_somebody_else_has_an_id_of_its_own() -> None:
    foreign = {"n": SnapshotEntry("nightly", "", "b"), **LEFT.snapshots}
    found = vm_changes.differences("web1", LEFT, replace(LEFT, snapshots=foreign, current="n"))
    assert [difference.id for difference in found] == ["snapshot-foreign"]


def test_another_file() -> None:
    assert vm_changes.moved(LEFT, {2000: "[e] x"}) == ("[d] vm/vm-1.vmdk", "[e] x")


@pytest.mark.parametrize(
    ("mark", "disks", "expected"),
    [
        ("3/job", {2000: "[e] x"}, []),
        ("2/job", LEFT.paths, ["reverted VM web1 before its snapshot 'C' was taken"]),
        ("3/job", {}, ["changed the disks of VM web1 before its snapshot 'C' was taken"]),
    ],
)
def test_what_a_snapshot_froze(mark: str, disks: dict[int, str], expected: list[str]) -> None:
    found = vm_changes.frozen("web1", "C", LEFT, mark, disks)
    assert [difference.deed for difference in found] == expected
