# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How changes are found: by CBT if it can be trusted, else by a method that is sure."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from .hardware import MIB
from .joblog import check_failed, check_ok, methods, reasons, said
from .machine import Machine, find_snapshot
from .pictures import draw
from .roundtrip import round_trip
from .site import Site

DISK = "scsi0-0"


def check_restores(site: Site, machine: Machine) -> None:
    """The newest backup brings the VM back as it is."""
    before = machine.portrait()
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before


def fault(key: str) -> Any:
    """A fault of change tracking as hostd words it."""
    message = vmodl.LocalizableMessage(key=f"vim.hostd.vmsvc.cbt.{key}", message=f"about {key}")
    return vim.fault.FileFault(file="[datastore1] x.vmdk", faultMessage=[message], msg="see below")


def test_cbt_enabled_after_the_first_snapshot(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    machine.scribble("a")
    machine.snapshot("before")
    machine.scribble("b")
    machine.reconfigure(changeTrackingEnabled=True)
    machine.scribble("c")
    machine.snapshot("after")
    machine.scribble("d")
    job = site.backup()
    check_ok(job)
    assert methods(job) == {
        ("before", DISK): "allocated",
        ("after", DISK): "compare",
        ("now", DISK): "compare",
    }
    assert "CBT was off when the base was taken" in reasons(job)["after", DISK]
    reason = reasons(job)["now", DISK]
    assert "CBT was enabled while the snapshot 'before' existed" in reason
    before = machine.portrait()
    machine.destroy()
    check_ok(site.restore())
    restored = site.find()
    assert restored.portrait().faces == before.faces
    # It could not be enabled under the snapshots any more, so it was on from the beginning.
    assert restored.vm.config.changeTrackingEnabled
    assert restored.device(2000).backing.changeId is not None


def late_vm(site: Site) -> Machine:
    """CBT was switched on above `old`, and loses half of the changes since."""
    site.lab.habits.cbt.late_misses = 0.5
    machine = site.create(disks=[4 * MIB], cbt=False)
    machine.scribble("old")
    machine.snapshot("old")
    machine.reconfigure(changeTrackingEnabled=True)
    for name in ("A", "B"):
        machine.scribble(name, pieces=5)
        machine.snapshot(name)
    machine.scribble("now", pieces=5)
    return machine


def check_incrementals_of(site: Site, machine: Machine) -> None:
    """Whatever CBT loses: a Full, then Incrementals with and without the snapshot `old`."""
    check_ok(site.backup())
    machine.scribble("later", pieces=5)
    check_ok(site.backup(level="Incremental"))
    machine.scribble("last", pieces=5)
    machine.remove(find_snapshot(machine, "old"))
    machine.scribble("end", pieces=5)
    job = site.backup(level="Incremental")
    check_ok(job)
    check_restores(site, machine)
    assert "a snapshot existed that was deleted since" in reasons(job)["now", DISK]


def test_what_cbt_loses_if_enabled_above_a_snapshot(site: Site) -> None:
    machine = late_vm(site)
    check_incrementals_of(site, machine)


def test_what_cbt_loses_if_started_anew_above_a_snapshot(site: Site) -> None:
    site.lab.habits.cbt.late_misses = 0.5
    machine = site.create(disks=[4 * MIB])
    machine.scribble("old")
    machine.snapshot("old")
    for on in (False, True):
        machine.reconfigure(changeTrackingEnabled=on)
    machine.scribble("A", pieces=5)
    machine.snapshot("A")
    machine.scribble("now", pieces=5)
    job = site.backup()
    reason = reasons(job)["now", DISK]
    assert "CBT was started anew while the snapshot 'old' existed" in reason
    check_incrementals_of(site, machine)


def test_a_late_start_is_remembered_when_its_snapshots_are_gone(site: Site) -> None:
    machine = late_vm(site)
    check_ok(site.backup())
    while machine.roots:
        machine.remove(machine.roots[0].snapshot)
    for number in range(3):
        machine.scribble(str(number), pieces=5)
        job = site.backup(level="Incremental")
        check_ok(job)
        assert methods(job) == {("now", DISK): "allocated"}
    for on in (False, True):
        machine.reconfigure(changeTrackingEnabled=on)
    for _ in range(2):
        machine.scribble("anew", pieces=5)
        job = site.backup(level="Incremental")
        check_ok(job)
    assert methods(job) == {("now", DISK): "cbt"}
    check_restores(site, machine)


def test_cbt_is_used_again_once_all_is_deleted(site: Site) -> None:
    machine = late_vm(site)
    check_ok(site.backup())
    while machine.roots:
        machine.remove(machine.roots[0].snapshot)
    for level in ("Full", "Incremental"):
        machine.scribble(level, pieces=5)
        job = site.backup(level=level)
        check_ok(job)
    assert methods(job) == {("now", DISK): "cbt"}
    check_restores(site, machine)


def test_cbt_off_with_snapshots_is_left_off(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    draw(machine, "A\n  B\n  C *\n")
    job = site.backup()
    assert job.status == "T"
    (warning,) = said(job, "M_WARNING")
    assert "Changed block tracking is off for VM web1 and it has snapshots" in warning
    assert not machine.vm.config.changeTrackingEnabled
    assert {m for (node, _), m in methods(job).items() if node != "A"} == {"compare"}
    check_restores(site, machine)


def test_cbt_off_without_snapshots_is_switched_on(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    machine.scribble("a")
    left = site.backup(enable_cbt="no")
    assert "Changed block tracking is off" in said(left, "M_WARNING")[0]
    assert not machine.vm.config.changeTrackingEnabled
    job = site.backup()
    check_ok(job)
    assert any("Enabled changed block tracking" in text for text in said(job, "M_INFO"))
    assert machine.vm.config.changeTrackingEnabled
    assert machine.device(2000).backing.changeId is not None


def test_cbt_not_supported(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    site.lab.habits.change_tracking_supported = False
    machine.scribble("a")
    machine.snapshot("s")
    machine.scribble("b")
    job = site.backup()
    (warning,) = said(job, "M_WARNING")
    assert "does not support changed block tracking" in warning
    assert methods(job)["now", DISK] == "compare"
    check_restores(site, machine)


LASTING = [
    fault("noTrack"),
    fault("noEpoch"),
    fault("cannotGetChanges"),
    vmodl.fault.InvalidArgument(invalidProperty="changeId"),
    vmodl.fault.InvalidArgument(invalidProperty="deviceKey"),
    vim.fault.NotFound(msg="the snapshot is gone"),
    vmodl.fault.NotSupported(),
]


def test_every_lasting_fault_falls_back_to_comparing(site: Site) -> None:
    machine = site.create(disks=[MIB])
    names = [f"edge{n}" for n in range(len(LASTING) - 1)]
    for name in ["root", *names]:
        machine.scribble(name, pieces=1)
        machine.snapshot(name)
    machine.scribble("now")
    # Asked in turns: what changed, which fails, and what is in use, for the comparison.
    for number, each in enumerate([*LASTING, LASTING[0]]):
        site.lab.habits.fail("QueryChangedDiskAreas", each, nth=max(1, number))
    job = site.backup()
    check_ok(job)
    found = reasons(job)
    assert methods(job).pop(("root", DISK)) == "allocated"
    assert (
        "CBT does not tell the areas in use (FileFault: see below; about noTrack"
        in found["root", DISK]
    )
    causes = ["noEpoch", "cannotGetChanges", "changeId", "deviceKey", "NotFound", "NotSupported"]
    for name, cause in zip([*names, "now"], [*causes, "noTrack"]):
        assert methods(job)[name, DISK] == "compare"
        assert cause in found[name, DISK]
    check_restores(site, machine)


def test_a_passing_fault_is_tried_again(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("s")
    machine.scribble("b")
    locked = vim.fault.FileLocked(file="[datastore1] web1/web1-ctk.vmdk")
    site.lab.habits.fail("QueryChangedDiskAreas", locked, nth=2)
    job = site.backup()
    check_ok(job)
    assert methods(job)["now", DISK] == "cbt"

    error = vmodl.fault.SystemError(reason="busy")
    site.lab.habits.fail("QueryChangedDiskAreas", error, nth=2, times=3)
    job = site.backup()
    check_ok(job)
    assert methods(job)["now", DISK] == "compare"
    assert "SystemError" in reasons(job)["now", DISK]


@pytest.mark.parametrize(
    ("star", "why"),
    [("fails", "CBT does not tell the areas in use"), ("whole-disk", "the whole disk in use")],
)
def test_the_root_without_its_areas_in_use(site: Site, star: Any, why: str) -> None:
    site.lab.habits.cbt.star = star
    machine = site.create(disks=[4 * MIB])
    machine.scribble("a")
    machine.snapshot("root")
    job = site.backup()
    check_ok(job)
    assert why in reasons(job)["root", DISK]
    assert job.bytes < MIB, "the allocation map tells what is in use"
    check_restores(site, machine)


@pytest.mark.parametrize(
    ("areas", "size", "empty"), [(1, None, False), (3, 3 << 16, True), (2000, 512, False)]
)
def test_answers_in_pages(site: Site, areas: int, size: Any, empty: bool) -> None:
    site.lab.habits.page_areas = areas
    site.lab.habits.empty_pages = empty
    machine = site.create(disks=[256 << 10 if size == 512 else 2 * MIB])
    site.lab.habits.page_bytes = size
    machine.scribble("a", pieces=5)
    machine.snapshot("root")
    machine.scribble("b", pieces=5)
    job = site.backup()
    check_ok(job)
    assert methods(job)["now", DISK] == "cbt"
    site.lab.habits.page_bytes = None
    check_restores(site, machine)


def test_areas_that_are_named_once_where_they_begin(site: Site) -> None:
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a", pieces=5)
    machine.snapshot("root")
    machine.guest.write(2000, MIB // 2 + 512, bytes(range(256)) * (MIB // 256))
    site.lab.habits.areas_once = True
    site.lab.habits.page_bytes = 3 << 16
    job = site.backup()
    check_ok(job)
    assert methods(job)["now", DISK] == "cbt"
    check_restores(site, machine)


@pytest.mark.parametrize(
    "habits",
    [
        {"revert_uuid": "new", "stray_id": "fails"},
        {"revert_sequence": "reuse", "stray_id": "answers"},
    ],
    ids=lambda habits: "-".join(habits.values()),
)
def test_what_real_vcenters_do_differently(site: Site, habits: dict[str, str]) -> None:
    for name, value in habits.items():
        setattr(site.lab.habits.cbt, name, value)
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n    (C)\n      D\n      E *\n  F\n")
    round_trip(site, machine)


def test_forbidden_fallback(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    machine.snapshot("old")
    machine.reconfigure(changeTrackingEnabled=True)
    machine.snapshot("new")
    message = check_failed(
        site.backup(fallback_to_full_cbt="no"), "fallback_to_full_cbt=no forbids"
    )
    assert "Hard disk 1 (scsi0-0) at s0002-new" in message
    assert "CBT was off when the base was taken" in message
    assert machine.snapshot_names == ["old", "new"]


def test_everything_instead_of_comparing(site: Site) -> None:
    """A delta sent in full says where the base has data and the snapshot has not."""
    machine = site.create(disks=[MIB], cbt=False)
    machine.guest.write(2000, 0, b"\xaa" * MIB)
    machine.snapshot("full")
    machine.guest.write_zeros(2000, 128 << 10, 512 << 10)
    machine.snapshot("holes")
    machine.scribble("b")
    job = site.backup(without_cbt="full")
    assert job.status == "T"
    assert methods(job) == {
        ("full", DISK): "allocated",
        ("holes", DISK): "full",
        ("now", DISK): "full",
    }
    check_restores(site, machine)


def test_a_restored_vm_is_not_trusted(site: Site) -> None:
    """What a restore wrote, CBT misreports: edges between restored snapshots are compared."""
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B *\n    C\n")
    restored = round_trip(site, machine)
    assert restored.vm.config.changeTrackingEnabled
    restored.scribble("new")
    restored.snapshot("D")
    restored.scribble("newer")
    restored.snapshot("E")
    restored.scribble("newest")
    job = site.backup()
    check_ok(job)
    found = methods(job)
    assert {node for (node, _), method in found.items() if method == "compare"} == {"B", "C", "D"}
    assert (found["E", DISK], found["now", DISK]) == ("cbt", "cbt")
    assert "restored (by RestoreFiles." in reasons(job)["D", DISK]
    check_restores(site, restored)


@pytest.mark.parametrize("merge", ["removal", "consolidate"])
def test_snapshots_older_than_cbt_by_their_own_files(site: Site, merge: str) -> None:
    """Zeros that were written in a snapshot's file count; a file without a name forbids it."""
    machine = site.create(disks=[MIB, 5 * 65536 + 512], cbt=False)
    site.lab.habits.merge_links = merge
    draw(machine, "A\n  B\n    (X)\n      Y\n      Z\n  D *\n")
    job = site.backup(without_cbt="link", enable_cbt="no")
    assert job.status == "T"
    found = methods(job)
    assert [found[node, DISK] for node in ("B", "D", "now")] == ["link"] * 3
    assert [found[node, DISK] for node in ("Y", "Z")] == ["compare"] * 2
    assert "not the direct parent" in reasons(job)["Y", DISK]
    check_restores(site, machine)


def test_own_files_that_no_server_shows(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    draw(machine, "A\n  B\n")
    job = site.backup(without_cbt="link", enable_cbt="no", nbd_link_uri=None)
    assert methods(job)["B", DISK] == "compare"
    assert "transport=nbd needs nbd_link_uri" in reasons(job)["B", DISK]


def restored_tree(site: Site) -> Machine:
    """A VM that was restored with the snapshots A and B, while CBT did not see what was written."""
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n")
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    site.lab.habits.cbt.door_writes = "missed"
    check_ok(site.restore())
    assert site.find().portrait() == before
    return site.find()


def branch_off(machine: Machine, name: str) -> vim.vm.Snapshot:
    """Revert to that snapshot, which is returned, and take X and Y above it."""
    found = find_snapshot(machine, name)
    assert found is not None
    machine.revert(found)
    for above in ("X", "Y"):
        machine.scribble(above)
        machine.snapshot(above)
    return found


def test_snapshots_taken_after_a_revert_to_a_restored_one(site: Site) -> None:
    """The mark comes back with the revert, but only what the restore made counts as restored."""
    machine = restored_tree(site)
    branch_off(machine, "A")
    machine.scribble("now")
    job = site.backup()
    check_ok(job)
    assert methods(job) == {
        ("A", DISK): "allocated",
        ("B", DISK): "compare",
        ("X", DISK): "compare",
        ("Y", DISK): "cbt",
        ("now", DISK): "cbt",
    }
    for restored in ("B", "X"):
        assert "the base was restored (by Restore" in reasons(job)[restored, DISK]
    check_restores(site, machine)


def test_the_restored_snapshot_that_was_reverted_to_is_deleted(site: Site) -> None:
    """X may have what the restore wrote into A: it counts as restored in A's place."""
    machine = restored_tree(site)
    first = branch_off(machine, "A")
    machine.remove(first)
    machine.scribble("now")
    job = site.backup()
    check_ok(job)
    assert methods(job)["Y", DISK] == "compare"
    assert methods(job)["now", DISK] == "cbt"
    check_restores(site, machine)


def test_a_snapshot_taken_of_what_a_restore_wrote(site: Site) -> None:
    """Its edge is compared, as the restore wrote what it froze; what comes after it is tracked."""
    machine = restored_tree(site)
    machine.scribble("guest")
    machine.snapshot("X")
    machine.scribble("now")
    job = site.backup()
    check_ok(job)
    assert methods(job)["X", DISK] == "compare"
    assert methods(job)["now", DISK] == "cbt"
    check_restores(site, machine)
