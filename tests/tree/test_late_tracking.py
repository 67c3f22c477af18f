# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""CBT that was switched on while a snapshot existed is trusted nowhere above that snapshot."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bareos_vmsnap.tree import lineage, method_ladder, plan_backup
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
