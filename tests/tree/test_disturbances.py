# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""CBT is not used across what it may not know of, nor for disks that build on another VM's files."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bareos_vmsnap.tree import foreign_files, lineage, method_ladder, plan_backup
from bareos_vmsnap.tree.disturbances import Disturbance
from bareos_vmsnap.tree.observed import Observed, Snapshot
from tests.tree import trees
from tests.tree.test_incremental import QUIET


def plan(observed: Observed) -> dict[str, plan_backup.Task]:
    """The tasks by the names of their nodes, of a first job."""
    planned = plan_backup.plan(observed, trees.job(), method_ladder.Policy())
    return {trees.short(planned.tree.nodes[t.segment.node]): t for t in planned.tasks}


def methods(observed: Observed) -> dict[str, str]:
    return {name: task.rungs[0].method for name, task in plan(observed).items()}


@pytest.mark.parametrize(
    ("key", "path", "spanned"),
    [
        (None, None, True),
        (2000, None, True),
        (2001, None, False),
        (None, "[ds] vm/1.vmdk", True),
        (None, "[ds] vm/other.vmdk", False),
    ],
)
def test_an_edge_with_a_disturbance_is_compared(
    key: Optional[int], path: Optional[str], spanned: bool
) -> None:
    """Snapshots are a day apart: it happened between B and C."""
    found = Disturbance("2026-11-02T18:00:00+00:00", "it crashed", key, path)
    observed = trees.observed("A\n  B\n    C\n      D *\n")
    observed = dataclasses.replace(observed, disturbances=(found,))
    by_node = methods(observed)
    assert by_node.pop("C") == ("compare" if spanned else "cbt")
    assert by_node == {"A": "allocated", "B": "cbt", "D": "cbt", "T1": "cbt"}
    assert ("since the base was taken it crashed" in plan(observed)["C"].rungs[0].reason) is spanned


def test_clocks_may_differ_by_half_an_hour() -> None:
    observed = trees.observed("A\n  B\n    C *\n")
    for when, compared in (("09:40", {"B", "C"}), ("10:20", {"B", "C"}), ("10:40", {"C"})):
        found = Disturbance(f"2026-11-02T{when}:00+00:00", "it crashed")
        by_node = methods(dataclasses.replace(observed, disturbances=(found,)))
        assert {name for name, method in by_node.items() if method == "compare"} == compared


def linked(observed: Observed) -> Observed:
    """The VM as a linked clone of another one."""

    def on(snapshot: Snapshot) -> Snapshot:
        (disk,) = snapshot.disks
        disk = dataclasses.replace(disk, chain=(*disk.chain, "[ds] master/master.vmdk"))
        return dataclasses.replace(snapshot, disks=(disk,))

    snapshots = tuple(map(on, observed.snapshots))
    return dataclasses.replace(observed, snapshots=snapshots, state=on(observed.state))


def test_a_disk_on_files_of_another_vm() -> None:
    observed = trees.observed("A\n  B *\n")
    clone = linked(observed)
    tasks = plan(clone)
    assert methods(clone) == {"A": "allocated", "B": "compare", "T1": "compare"}
    for task in tasks.values():
        assert "outside of the VM's folders, [ds] master/master.vmdk" in task.whole
    assert all(task.whole == "" for task in plan(observed).values())
    home = dataclasses.replace(clone, homes=("[ds] master",))
    assert methods(home) == methods(observed) == {"A": "allocated", "B": "cbt", "T1": "cbt"}


def test_no_line_on_files_of_another_vm() -> None:
    first, today = trees.on_day(1, "A\n  B *\n"), trees.on_day(2, "A\n  B *\n")
    for change in (lambda observed: observed, linked):
        tree = trees.saved(plan_backup.plan(change(first), trees.job(1), method_ladder.Policy()))
        seen = change(today)
        line, reason = lineage.line(tree, seen, lineage.known(tree, seen), QUIET)
        assert (line is None) is (change is linked)
        assert ("outside of the VM's folders" in reason) is (change is linked)


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("[ds 1] web1/web1.vmdk", "[ds 1] web1"),
        ("[ds 1] a/b/web1.vmdk", "[ds 1] a/b"),
        ("[ds 1] web1/", "[ds 1] web1"),
        ("[ds 1] web1.vmdk", "[ds 1]"),
        ("[ds 1] /", "[ds 1]"),
    ],
)
def test_folders(path: str, folder: str) -> None:
    assert foreign_files.folder(path) == folder


def test_the_oldest_base_that_is_asked_for() -> None:
    observed = trees.observed("A\n  B\n    C *\nD\n  E\n")
    assert plan_backup.oldest_base(observed) == "2026-11-01T10:00:00+00:00"
    assert plan_backup.oldest_base(trees.observed("A\nB\n")) is None
    tree = trees.saved(plan_backup.plan(observed, trees.job(1), method_ladder.Policy()))
    nodes = lineage.known(tree, observed)
    previous = plan_backup.Previous(tree, nodes)
    assert plan_backup.oldest_base(observed, previous) == "2026-11-03T10:00:00+00:00"
    line = lineage.Line(tree.nodes[tree.point.state], observed.state.moref, tree.point.id)
    assert plan_backup.oldest_base(observed, dataclasses.replace(previous, line=line)) is None
