# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bareos_vmsnap.tree import model, plan_restore
from bareos_vmsnap.tree.plan_restore import Snapshots
from tests.tree import trees


def described(tree: model.BlockTree, what: Snapshots = Snapshots.TREE) -> list[str]:
    """The plan of the newest time point, a short line a step."""
    return [_line(tree, step) for step in plan_restore.plan(tree, tree.point, what).steps]


def _line(tree: model.BlockTree, step: plan_restore.Step) -> str:
    if isinstance(step, plan_restore.Write):
        return f"write {_short(tree, step.segment.node)}{' fresh' if step.fresh else ''}"
    if isinstance(step, plan_restore.TakeSnapshot):
        return ("helper " if step.helper else "snapshot ") + _short(tree, step.node)
    verbs = {
        plan_restore.Create: "create",
        plan_restore.Revert: "revert",
        plan_restore.Configure: "configure",
        plan_restore.RemoveHelper: "remove",
    }
    return f"{verbs[type(step)]} {_short(tree, step.node)}"


def _short(tree: model.BlockTree, node: str) -> str:
    if node == plan_restore.ORIGIN:
        return "origin"
    return tree.nodes[node].directory.rsplit("/", 1)[-1].split("-", 1)[1]


def test_a_vm_without_snapshots() -> None:
    assert described(trees.backed_up("")) == ["create T1", "configure T1", "write T1 fresh"]


def test_a_line_needs_no_revert() -> None:
    assert described(trees.backed_up("A\n  B *\n")) == [
        "create A",
        "configure A",
        "write A fresh",
        "snapshot A",
        "configure B",
        "write B",
        "snapshot B",
        "configure T1",
        "write T1",
    ]


def test_a_fork_is_reached_by_reverting() -> None:
    steps = described(trees.backed_up("A\n  B\n  C *\n"))
    assert steps[steps.index("snapshot B") + 1 :] == [
        "revert A",
        "configure C",
        "write C",
        "snapshot C",
        "configure T1",
        "write T1",
    ]


def test_the_state_at_an_older_fork_is_written_last() -> None:
    steps = described(trees.backed_up("A *\n  B\n  C\n"))
    assert steps[-4:] == ["snapshot C", "revert A", "configure T1", "write T1"]


def test_several_roots_grow_from_a_helper_at_the_origin() -> None:
    assert described(trees.backed_up("A\nB *\n")) == [
        "create A",
        "helper origin",
        "configure A",
        "write A fresh",
        "snapshot A",
        "revert origin",
        "configure B",
        "write B fresh",
        "snapshot B",
        "configure T1",
        "write T1",
        "remove origin",
    ]


def test_a_retired_fork_is_stood_in_for() -> None:
    tree = trees.backed_up("A\n  B\n  C *\n")
    point = tree.point
    retired = point.snapshots[0].node
    live = tuple(dataclasses.replace(s, parent=None) for s in point.snapshots if s.node != retired)
    tree.timepoint = dataclasses.replace(point, snapshots=live)
    steps = described(tree)
    assert steps[:4] == ["create A", "configure A", "write A fresh", "helper A"]
    assert "revert A" in steps
    assert steps[-1] == "remove A"


def test_a_retired_node_in_a_line_leaves_no_trace() -> None:
    tree = trees.backed_up("A\n  B\n    C *\n")
    point = tree.point
    first, second, third = point.snapshots
    live = (first, dataclasses.replace(third, parent=first.node))
    tree.timepoint = dataclasses.replace(point, snapshots=live)
    steps = described(tree)
    assert "write B" in steps
    assert not [s for s in steps if s.startswith(("snapshot B", "helper", "revert", "remove"))]


def test_only_the_state_needs_no_snapshot_and_no_other_branch() -> None:
    assert described(trees.backed_up("A\n  B\n  C *\n"), Snapshots.NONE) == [
        "create A",
        "configure A",
        "write A fresh",
        "configure C",
        "write C",
        "configure T1",
        "write T1",
    ]


def test_a_segment_the_manifest_lacks_is_reported() -> None:
    tree = trees.backed_up("A\n  B *\n")
    del tree.segments[next(name for name in tree.segments if "s0002-B/scsi" in name)]
    with pytest.raises(
        plan_restore.RestorePlanError, match="s0002-B has no segment for disk scsi0-0"
    ):
        plan_restore.plan(tree, tree.point)


@st.composite
def pictures(draw: st.DrawFn) -> str:
    """Random trees of up to 12 snapshots, the VM at one of them or at none."""
    count = draw(st.integers(0, 12))
    depths: list[int] = []
    for _ in range(count):
        depths.append(draw(st.integers(0, depths[-1] + 1 if depths else 0)))
    star = draw(st.integers(-1, count - 1)) if count else -1
    rows = [f"{'  ' * d}S{n}{' *' if n == star else ''}" for n, d in enumerate(depths)]
    return "\n".join(rows)


@given(pictures(), st.sets(st.integers(0, 11)), st.booleans())
def test_replaying_any_plan_gives_every_live_node_its_own_lineage(
    picture: str, retired: set[int], tree_wanted: bool
) -> None:
    """A model of VMware: content is the list of segments applied, snapshots freeze it."""
    tree = trees.backed_up(picture)
    point = tree.point
    live = tuple(s for n, s in enumerate(point.snapshots) if n not in retired)
    tree.timepoint = point = dataclasses.replace(point, snapshots=live)
    what = Snapshots.TREE if tree_wanted else Snapshots.NONE

    leaf: list[str] = []
    frozen: dict[str, list[str]] = {}
    parent: dict[str, Optional[str]] = {}
    at: Optional[str] = None
    for step in plan_restore.plan(tree, point, what).steps:
        if isinstance(step, plan_restore.Write):
            expected = step.segment.base
            assert (leaf[-1] if leaf else None) == expected or step.fresh
            leaf = [*leaf, step.segment.node]
        elif isinstance(step, plan_restore.TakeSnapshot):
            frozen[step.node], parent[step.node], at = list(leaf), at, step.node
        elif isinstance(step, plan_restore.Revert):
            leaf, at = list(frozen[step.node]), step.node
        elif isinstance(step, plan_restore.RemoveHelper):
            heirs = [node for node, above in parent.items() if above == step.node]
            for heir in heirs:
                parent[heir] = parent[step.node]
            at = parent[step.node] if at == step.node else at
            del parent[step.node], frozen[step.node]

    shown = {s.node for s in live} if tree_wanted else set()
    assert set(frozen) == shown
    for node, content in frozen.items():
        assert content == list(reversed(tree.lineage(node)))
        above = [base for base in tree.lineage(node)[1:] if base in shown]
        assert parent[node] == (above[0] if above else None)
    assert leaf == list(reversed(tree.lineage(point.state)))
    above = [base for base in tree.lineage(point.state)[1:] if base in shown]
    assert at == (above[0] if above else None)
