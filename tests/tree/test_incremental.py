# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import lineage, method_ladder, model, plan_backup
from tests.tree import trees

QUIET = lineage.History()


def first_day(picture: str) -> model.BlockTree:
    return trees.saved(
        plan_backup.plan(trees.on_day(1, picture), trees.job(1), method_ladder.Policy())
    )


def next_day(
    previous: model.BlockTree,
    picture: str,
    history: lineage.History = QUIET,
    froze: str = "Z",
) -> plan_backup.BackupPlan:
    observed = trees.on_day(2, picture, froze)
    nodes = lineage.known(previous, observed)
    line, _ = lineage.line(previous, observed, nodes, history)
    past = plan_backup.Previous(previous, nodes, line)
    return plan_backup.plan(observed, trees.job(2, "I"), method_ladder.Policy(), past)


def sent(plan: plan_backup.BackupPlan) -> list[tuple[str, Optional[str], str]]:
    """(node, base, first method) of what the job sends."""
    short = {n.id: trees.short(n) for n in plan.tree.nodes.values()}
    return [
        (short[t.segment.node], short.get(t.segment.base or ""), t.rungs[0].method)
        for t in plan.tasks
    ]


def kept(plan: plan_backup.BackupPlan) -> list[str]:
    return [trees.short(node) for node in plan.tree.nodes.values()]


def test_only_the_state_is_sent_and_counts_from_the_last_backup() -> None:
    plan = next_day(first_day("A\n  B *\n"), "A\n  B *\n")
    assert sent(plan) == [("T2", "T1", "cbt")]
    assert "remembered from T1" in plan.tasks[0].rungs[0].reason
    assert kept(plan) == ["A", "B", "T1", "T2"]


def test_a_vm_without_snapshots_sends_its_changes_only() -> None:
    assert sent(next_day(first_day(""), "")) == [("T2", "T1", "cbt")]


def test_a_new_snapshot_counts_from_the_last_backup_and_the_state_from_it() -> None:
    plan = next_day(first_day("A *\n"), "A\n  C *\n", froze="C")
    assert sent(plan) == [("C", "T1", "cbt"), ("T2", "C", "cbt")]


def test_two_new_snapshots_in_a_line() -> None:
    plan = next_day(first_day("A *\n"), "A\n  C\n    D *\n", froze="C")
    assert sent(plan) == [("C", "T1", "cbt"), ("D", "C", "cbt"), ("T2", "D", "cbt")]


def test_after_a_revert_nothing_remembered_is_asked() -> None:
    reverted = lineage.History(breaks=("a snapshot was reverted to",))
    plan = next_day(first_day("A\n  B *\n"), "A\n  B *\n", reverted)
    assert sent(plan) == [("T2", "B", "cbt")]
    assert kept(plan) == ["A", "B", "T2"]


def test_a_new_branch_counts_from_its_live_parent() -> None:
    reverted = lineage.History(breaks=("a snapshot was reverted to",))
    plan = next_day(first_day("A\n  B *\n"), "A\n  B\n  C *\n", reverted, froze="C")
    assert sent(plan) == [("C", "A", "cbt"), ("T2", "C", "cbt")]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"change_id": f"{trees.uuid('53')}/99"}, "different UUIDs"),
        ({"change_id": None}, "no change id"),
        ({"path": "[ds2] vm/leaf.vmdk"}, "its file is another than then"),
        ({"capacity": 512}, "size changed"),
    ],
)
def test_the_line_is_broken_by_what_the_disk_shows(change: dict[str, object], why: str) -> None:
    previous = first_day("A *\n")
    observed = trees.on_day(2, "A *\n")
    (disk,) = observed.state.disks
    state = dataclasses.replace(
        observed.state,
        disks=(dataclasses.replace(disk, **change),),  # type: ignore[arg-type]
    )
    observed = dataclasses.replace(observed, state=state)
    line, reason = lineage.line(previous, observed, lineage.known(previous, observed), QUIET)
    assert line is None
    assert why in reason


def test_the_line_needs_a_history_that_reaches_back() -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    past = lineage.History("vSphere's event history does not reach back")
    line, reason = lineage.line(previous, observed, lineage.known(previous, observed), past)
    assert line is None
    assert "does not reach back" in reason


def test_the_state_of_another_vm_is_no_base() -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    vm = dataclasses.replace(observed.vm, instance_uuid="another")
    observed = dataclasses.replace(observed, vm=vm)
    line, reason = lineage.line(previous, observed, lineage.known(previous, observed), QUIET)
    assert line is None
    assert "of another VM" in reason


def test_standing_elsewhere_breaks_the_line() -> None:
    previous, observed = first_day("A\n  B *\n"), trees.on_day(2, "A *\n  B\n")
    line, reason = lineage.line(previous, observed, lineage.known(previous, observed), QUIET)
    assert line is None
    assert "stands at another snapshot" in reason


def test_a_base_is_judged_by_the_file_it_is_in_today() -> None:
    """A deletion gave the base's file another name, and a nameless link in between has the old one."""
    previous = first_day("A\n  B *\n")
    observed = trees.on_day(2, "A\n  B *\n")
    base = observed.snapshots[1]
    old, new = base.disks[0].path, "[ds] vm/merged.vmdk"
    moved = dataclasses.replace(
        base, disks=(dataclasses.replace(base.disks[0], path=new),), change_tracking=False
    )
    (leaf,) = observed.state.disks
    for chain, method in (((old, new), "compare"), ((new,), "link")):
        state = dataclasses.replace(observed.state, disks=(dataclasses.replace(leaf, chain=chain),))
        seen = dataclasses.replace(observed, snapshots=(observed.snapshots[0], moved), state=state)
        past = plan_backup.Previous(previous, lineage.known(previous, seen), None)
        plan = plan_backup.plan(
            seen, trees.job(2, "I"), method_ladder.Policy(method_names.LINK), past
        )
        (task,) = plan.tasks
        assert task.rungs[0].method == method
        assert task.base_disk is not None and task.base_disk.path == new


def test_a_deleted_middle_node_stays_because_others_build_on_it() -> None:
    plan = next_day(first_day("A\n  B\n    C *\n"), "A\n  C *\n")
    assert sent(plan) == [("T2", "T1", "cbt")]
    assert kept(plan) == ["A", "B", "C", "T1", "T2"]
    shown = [s.name for s in plan.point.snapshots]
    assert shown == ["A", "C"]


def test_what_nothing_builds_on_is_forgotten() -> None:
    plan = next_day(first_day("A\n  B\n  C *\n"), "A\n  C *\n")
    assert "B" not in kept(plan)
    assert not [s for s in plan.tree.segments.values() if "-B/" in s.name]


def test_after_all_snapshots_are_gone_the_state_is_a_root_again() -> None:
    plan = next_day(first_day("A\n  B *\n"), "")
    assert sent(plan) == [("T2", None, "allocated")]
    assert kept(plan) == ["T2"]


def test_a_renamed_snapshot_is_known_and_shown_with_its_new_name() -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    renamed = dataclasses.replace(observed.snapshots[0], name="Z", description="new")
    observed = dataclasses.replace(observed, snapshots=(renamed,))
    nodes = lineage.known(previous, observed)
    assert len(nodes) == 1
    past = plan_backup.Previous(previous, nodes)
    plan = plan_backup.plan(observed, trees.job(2, "I"), method_ladder.Policy(), past)
    (live,) = plan.point.snapshots
    assert (live.name, live.description) == ("Z", "new")


@pytest.mark.parametrize("change", [{"created": "2027-01-01T00:00:00+00:00"}, {"id": 77}])
def test_a_snapshot_of_the_same_name_but_another_identity_is_new(change: dict[str, object]) -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    other = dataclasses.replace(observed.snapshots[0], **change)  # type: ignore[arg-type]
    observed = dataclasses.replace(observed, snapshots=(other,))
    assert lineage.known(previous, observed) == {}


def test_new_managed_object_ids_do_not_matter() -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    moved = dataclasses.replace(observed.snapshots[0], moref="snapshot-999")
    observed = dataclasses.replace(observed, snapshots=(moved,), current="snapshot-999")
    assert list(lineage.known(previous, observed)) == ["snapshot-999"]


def test_nothing_of_another_vm_is_known() -> None:
    previous, observed = first_day("A *\n"), trees.on_day(2, "A *\n")
    other = dataclasses.replace(observed.vm, instance_uuid="5099")
    observed = dataclasses.replace(observed, vm=other)
    assert lineage.known(previous, observed) == {}


def test_the_time_point_names_the_one_before() -> None:
    assert next_day(first_day("A *\n"), "A *\n").point.previous == "T1"
