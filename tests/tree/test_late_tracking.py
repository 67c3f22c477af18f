# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""CBT that was switched on while a snapshot existed is trusted nowhere above that snapshot."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bareos_vmsnap.tree import lineage, manifest, method_ladder, plan_backup
from bareos_vmsnap.tree.observed import Observed, Snapshot
from tests.tree import trees
from tests.tree.test_incremental import QUIET, sent

OTHER = f"{trees.uuid('53')}/1"


def changed(observed: Observed, name: str, change_id: Optional[str], tracked: bool) -> Observed:
    def one(snapshot: Snapshot) -> Snapshot:
        disks = tuple(dataclasses.replace(d, change_id=change_id) for d in snapshot.disks)
        found = dataclasses.replace(snapshot, disks=disks, change_tracking=tracked)
        return found if snapshot.name == name else snapshot

    return dataclasses.replace(observed, snapshots=tuple(map(one, observed.snapshots)))


@pytest.mark.parametrize(
    ("change_id", "tracked", "why"),
    [
        (None, False, "CBT was enabled while the snapshot 'A' existed"),
        (None, True, "CBT was enabled while the snapshot 'A' existed"),
        (f"{trees.uuid()}/2", False, "CBT was enabled while the snapshot 'A' existed"),
        (OTHER, True, "CBT was started anew while the snapshot 'A' existed"),
    ],
)
def test_an_untracked_ancestor_forbids_cbt_all_the_way(
    change_id: Optional[str], tracked: bool, why: str
) -> None:
    observed = changed(trees.observed("A\n  B\n    C *\nD\n  E\n"), "A", change_id, tracked)
    plan = plan_backup.plan(observed, trees.job(), method_ladder.Policy())
    first = {trees.short(plan.tree.nodes[t.segment.node]): t.rungs[0] for t in plan.tasks}
    assert {name: rung.method for name, rung in first.items()} == {
        "A": "allocated",
        "B": "compare",
        "C": "compare",
        "T1": "compare",
        "D": "allocated",
        "E": "cbt",
    }
    assert (first["C"].reason, first["T1"].reason) == (why, why)
    failing = plan_backup.plan(observed, trees.job(), method_ladder.Policy(method_ladder.FAIL))
    assert [t.distrust for t in failing.tasks if t.segment.node.endswith(".3")] == [why]


def test_nothing_remembered_below_an_untracked_ancestor() -> None:
    first = changed(trees.on_day(1, "A\n  B *\n"), "A", None, False)
    tree = trees.saved(plan_backup.plan(first, trees.job(1), method_ladder.Policy()))
    today = changed(trees.on_day(2, "A\n  B *\n"), "A", None, False)
    line, why = lineage.line(tree, today, lineage.known(tree, today), QUIET)
    assert line is None
    assert "CBT was enabled while the snapshot 'A' existed" in why


@pytest.mark.parametrize("change_id", [None, OTHER])
def test_an_ancestor_deleted_since_is_remembered(change_id: Optional[str]) -> None:
    first = changed(trees.on_day(1, "A\n  B *\n"), "A", change_id, change_id is not None)
    tree = trees.saved(plan_backup.plan(first, trees.job(1), method_ladder.Policy()))
    today = trees.on_day(2, "B *\n")
    nodes = lineage.known(tree, today)
    line, why = lineage.line(tree, today, nodes, QUIET)
    assert line is None
    assert "a snapshot existed that was deleted since" in why
    past = plan_backup.Previous(tree, nodes, line)
    plan = plan_backup.plan(today, trees.job(2, "I"), method_ladder.Policy(), past)
    assert sent(plan) == [("T2", "B", "compare")]


class Days:
    """A VM whose CBT was enabled above A; A is deleted after the first day's Full."""

    def __init__(self) -> None:
        first = changed(trees.on_day(1, "A *\n"), "A", None, False)
        self.tree = trees.saved(plan_backup.plan(first, trees.job(1), method_ladder.Policy()))
        self.number = 1

    def incremental(
        self, picture: str = "", letters: str = "52"
    ) -> tuple[plan_backup.BackupPlan, str]:
        """The plan of the next day's, and why nothing is remembered; `letters`: as of uuid()."""
        self.number += 1
        today = trees.on_day(self.number, picture)
        (disk,) = today.state.disks
        disk = dataclasses.replace(disk, change_id=f"{trees.uuid(letters)}/{20 * self.number}")
        today = dataclasses.replace(today, state=dataclasses.replace(today.state, disks=(disk,)))
        nodes = lineage.known(self.tree, today)
        line, why = lineage.line(self.tree, today, nodes, QUIET)
        past = plan_backup.Previous(self.tree, nodes, line)
        plan = plan_backup.plan(today, trees.job(self.number, "I"), method_ladder.Policy(), past)
        text = manifest.to_json(trees.saved(plan))
        self.tree = manifest.from_json(text)
        return plan, why


DELETED = "CBT was enabled while a snapshot existed that was deleted since"


def test_a_uuid_that_began_late_stays_in_the_manifest_until_cbt_is_reset() -> None:
    days = Days()
    (disk,) = days.tree.nodes[days.tree.point.state].disks
    late = {disk.identity: (trees.uuid(),)}
    assert days.tree.late_tracking == late
    for number in (2, 3, 4):
        plan, why = days.incremental()
        assert sent(plan) == [(f"T{number}", None, "allocated")]
        assert number == 2 or DELETED in why
        assert days.tree.late_tracking == late
    plan, _ = days.incremental(letters="53")
    assert sent(plan) == [("T5", None, "allocated")]
    plan, why = days.incremental(letters="53")
    assert sent(plan) == [("T6", "T5", "cbt")], why
    assert days.tree.late_tracking == late, "a revert may bring the old one back"


def test_snapshots_taken_with_a_uuid_that_began_late_are_compared() -> None:
    days = Days()
    days.incremental()
    plan, _ = days.incremental("B\n  C *\n")
    assert sent(plan) == [("B", None, "allocated"), ("C", "B", "compare"), ("T3", "C", "compare")]
    assert {task.distrust for task in plan.tasks[1:]} == {DELETED}
    plan, why = days.incremental("C *\n")
    assert sent(plan) == [("T4", "C", "compare")]
    assert DELETED in why


def test_a_full_knows_of_nothing_before_it() -> None:
    days = Days()
    days.incremental()
    full = plan_backup.plan(trees.on_day(3, ""), trees.job(3), method_ladder.Policy())
    assert full.tree.late_tracking == {}


def test_a_disk_added_later_is_tracked_from_its_beginning() -> None:
    """Its file was there before no snapshot."""
    observed = trees.observed("A\n  B *\n")
    new = trees.disk("[ds] vm/x.vmdk", (), 5, key=2001, slot="scsi0-1", uuid="x", change_id=OTHER)
    last = dataclasses.replace(new, path="[ds] vm/y.vmdk", chain=(new.path,))
    last = dataclasses.replace(last, change_id=f"{trees.uuid('53')}/2")
    a, b = observed.snapshots
    b = dataclasses.replace(b, disks=(*b.disks, new))
    state = dataclasses.replace(observed.state, disks=(*observed.state.disks, last))
    observed = dataclasses.replace(observed, snapshots=(a, b), state=state)
    plan = plan_backup.plan(observed, trees.job(), method_ladder.Policy())
    assert [t.rungs[0].method for t in plan.tasks if t.disk.key == 2001] == ["allocated", "cbt"]
