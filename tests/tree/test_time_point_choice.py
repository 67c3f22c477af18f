# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which time point a restore brings back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Optional

import pytest

from bareos_vmsnap import errors
from bareos_vmsnap.tree import lineage, method_ladder, model, plan_backup, time_point_choice
from bareos_vmsnap.tree.time_point_choice import is_older

from . import trees


def chain() -> list[model.BlockTree]:
    """What the manifests of a Full and of two Incrementals after it hold."""
    made = [trees.backed_up("A *\n")]
    for number in (2, 3):
        observed = trees.on_day(number, "A *\n")
        past = plan_backup.Previous(made[-1], lineage.known(made[-1], observed), None)
        plan = plan_backup.plan(observed, trees.job(number, "I"), method_ladder.Policy(), past)
        made.append(trees.saved(plan))
    return made


def test_the_newest_by_default() -> None:
    manifests = chain()
    for order in (manifests, manifests[::-1]):
        choice = time_point_choice.timepoint(order, None)
        assert (choice.tree, choice.point.id) == (manifests[2], "T3")
        assert (choice.reasons, choice.warnings) == ((), ())


def test_jobs_that_began_within_the_same_second() -> None:
    """The older one's state must not come back. The long proof is quick enough to see that."""
    manifests = chain()
    for tree in manifests:
        tree.timepoint = dataclasses.replace(tree.point, taken="2026-11-22T10:00:00")
    for order in (manifests, manifests[::-1]):
        assert time_point_choice.timepoint(order, None).point.id == "T3"


def dated(tree: model.BlockTree, **fields: Any) -> model.BlockTree:
    """The tree with other fields of its time point."""
    return dataclasses.replace(tree, timepoint=dataclasses.replace(tree.point, **fields))


def ids(notices: Iterable[errors.Notice]) -> list[str]:
    return [notice.id for notice in notices]


@pytest.mark.parametrize("left_out", [None, 0, 1])
def test_a_clock_and_job_ids_that_contradict_ancestry(left_out: Optional[int]) -> None:
    """Also if the time point between two others was not selected."""
    manifests = [
        dated(tree, taken=f"2026-11-2{9 - number}T10:00:00", jobid=90 - number)
        for number, tree in enumerate(chain())
    ]
    if left_out is not None:
        del manifests[left_out]
    for order in (manifests, manifests[::-1]):
        choice = time_point_choice.timepoint(order, None)
        assert choice.point.id == "T3"
        assert choice.reasons == ()
        assert ids(choice.warnings) == ["clock-contradicts"]


def test_two_lines_of_which_the_clock_is_wrong() -> None:
    older = dated(trees.backed_up("A *\n"), taken="2026-11-29T10:00:00")
    newer = dated(older, id="T2", jobid=2, taken="2026-11-22T10:00:00")
    newer.segments = {}
    older.segments = {}
    for order in ([older, newer], [newer, older]):
        choice = time_point_choice.timepoint(order, None)
        assert choice.point.id == "T2"
        assert "job id" in choice.reasons[0]
        assert ids(choice.warnings) == ["clock-contradicts"]


def test_a_full_after_a_chain() -> None:
    """It has no predecessor, and yet is the newest."""
    newer = dated(trees.backed_up("A *\n"), id="T4", jobid=4, taken="2026-11-22T23:00:00")
    newer.segments = {}
    choice = time_point_choice.timepoint([*chain(), newer], None)
    assert (choice.point.id, choice.warnings) == ("T4", ())


def test_one_manifest_that_came_twice() -> None:
    manifests = chain()
    assert time_point_choice.timepoint([*manifests, *manifests], None).point.id == "T3"


def test_time_points_that_name_each_other() -> None:
    one, two, _ = chain()
    with pytest.raises(time_point_choice.ChoiceError, match="T1, T2 is built upon another"):
        time_point_choice.timepoint([dated(one, previous="T2"), two], None)


def test_time_points_of_which_only_the_names_are_known() -> None:
    tree = dated(chain()[2], jobid=30)
    older = [name for name in ("T1", "T2", "T9", "x-j29", "x-j31", "x-j30") if is_older(name, tree)]
    assert older == ["T1", "T2", "x-j29"]


def test_an_older_one_by_its_name() -> None:
    manifests = chain()
    for number, wanted in enumerate(["T1", "T2", "T3"]):
        choice = time_point_choice.timepoint(manifests, wanted)
        assert (choice.tree, choice.point.id) == (manifests[number], wanted)


def test_one_that_no_selected_job_holds() -> None:
    with pytest.raises(time_point_choice.ChoiceError, match="no time point T9; .* hold T1, T2, T3"):
        time_point_choice.timepoint(chain(), "T9")


def test_manifests_of_two_vms() -> None:
    (first, *_) = chain()
    other = dataclasses.replace(
        first, vm=dataclasses.replace(first.vm, name="other", instance_uuid="other-uuid")
    )
    with pytest.raises(
        time_point_choice.ChoiceError, match=r"several VMs: other \(other-uuid\), vm \("
    ):
        time_point_choice.timepoint([first, other], None)
