# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
from typing import Optional

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import method_ladder, plan_backup, segment_header
from tests.tree import trees

FORKED = """
A
  B
    C
  D
    E *
"""


def planned(picture: str) -> plan_backup.BackupPlan:
    return plan_backup.plan(trees.observed(picture), trees.job(), method_ladder.Policy())


def edges(plan: plan_backup.BackupPlan) -> list[tuple[str, str, str]]:
    """(node, base, first method) of every segment, by short names."""
    short: dict[Optional[str], str] = {n.id: _short(n) for n in plan.tree.nodes.values()}
    short[None] = "-"
    return [(short[t.segment.node], short[t.segment.base], t.rungs[0].method) for t in plan.tasks]


def _short(node: segment_header.Node) -> str:
    return node.directory.rsplit("/", 1)[-1].split("-", 1)[1]


def test_every_node_is_sent_after_its_base_and_the_state_last() -> None:
    assert edges(planned(FORKED)) == [
        ("A", "-", "allocated"),
        ("B", "A", "cbt"),
        ("C", "B", "cbt"),
        ("D", "A", "cbt"),
        ("E", "D", "cbt"),
        ("T1", "E", "cbt"),
    ]


def test_a_vm_without_snapshots_is_one_root() -> None:
    plan = planned("")
    assert edges(plan) == [("T1", "-", "allocated")]
    assert plan.point.current is None and plan.point.snapshots == ()


def test_several_roots_each_stand_alone() -> None:
    assert edges(planned("A\nB *\n")) == [
        ("A", "-", "allocated"),
        ("B", "-", "allocated"),
        ("T1", "B", "cbt"),
    ]


def test_siblings_are_sent_in_the_order_they_were_taken() -> None:
    observed = trees.observed(FORKED)
    # D was taken before B: vSphere lists by creation, which its ids tell.
    ids = {"A": 1, "D": 2, "B": 3, "E": 4, "C": 5}
    snapshots = tuple(dataclasses.replace(s, id=ids[s.name]) for s in observed.snapshots)
    plan = plan_backup.plan(
        dataclasses.replace(observed, snapshots=snapshots), trees.job(), method_ladder.Policy()
    )
    assert [node for node, _, _ in edges(plan)] == ["A", "D", "B", "E", "C", "T1"]


def test_directories_mirror_the_tree() -> None:
    names = [task.segment.name for task in planned(FORKED).tasks]
    assert (
        names[2]
        == "/@vmsnap/vm.503a0000000000000000000000000001/s0001-A/s0002-B/s0003-C/scsi0-0.T1.vmseg"
    )
    assert (
        names[5]
        == "/@vmsnap/vm.503a0000000000000000000000000001/s0001-A/s0004-D/s0005-E/state-T1/scsi0-0.T1.vmseg"
    )


def test_a_disk_that_appears_later_has_no_base() -> None:
    observed = trees.observed("A\n  B *\n")
    first, second = observed.snapshots
    added = trees.disk("[ds] vm/new.vmdk", (), 1, key=2001, slot="scsi0-1", uuid="6000C2ff")
    second = dataclasses.replace(second, disks=(*second.disks, added))
    plan = plan_backup.plan(
        dataclasses.replace(observed, snapshots=(first, second)),
        trees.job(),
        method_ladder.Policy(),
    )
    assert edges(plan)[2] == ("B", "-", "allocated")
    assert plan.tasks[2].segment.disk == 2001


def test_another_file_at_the_same_key_is_another_disk() -> None:
    observed = trees.observed("A\n  B *\n")
    first, second = observed.snapshots
    other = trees.disk("[ds] vm/other.vmdk", (), 2, uuid="6000C2aa")
    second = dataclasses.replace(second, disks=(other,))
    plan = plan_backup.plan(
        dataclasses.replace(observed, snapshots=(first, second)),
        trees.job(),
        method_ladder.Policy(),
    )
    assert edges(plan)[1] == ("B", "-", "allocated")


def test_two_snapshots_of_one_name_are_two_nodes() -> None:
    plan = planned("A\n  A\n    A *\n")
    assert len(plan.tree.nodes) == 4
    assert len({task.segment.name for task in plan.tasks}) == 4


def test_the_time_point_keeps_names_parents_and_the_current_snapshot() -> None:
    plan = planned(FORKED)
    parent = {s.node: s.parent for s in plan.point.snapshots}
    name = {s.node: s.name for s in plan.point.snapshots}
    assert [name[s.node] for s in plan.point.snapshots] == ["A", "B", "C", "D", "E"]
    assert [name.get(parent[s.node] or "") for s in plan.point.snapshots] == [
        None,
        "A",
        "B",
        "A",
        "D",
    ]
    assert name[plan.point.current or ""] == "E"


def test_a_full_segment_builds_on_nothing() -> None:
    task = planned("A\n  B *\n").tasks[1]
    assert task.segment.base is not None
    sent = plan_backup.sent(task.segment, method_ladder.Rung(method_names.FULL, "no CBT"))
    assert sent.base is None
