# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which time point a restore brings back."""

from __future__ import annotations

import dataclasses

import pytest

from bareos_vmsnap.tree import choose, ladder, lineage, model, plan_backup

from . import trees


def chain() -> list[model.BlockTree]:
    """What the manifests of a Full and of two Incrementals after it hold."""
    made = [trees.backed_up("A *\n")]
    for number in (2, 3):
        observed = trees.on_day(number, "A *\n")
        past = plan_backup.Previous(made[-1], lineage.known(made[-1], observed), None)
        plan = plan_backup.plan(observed, trees.job(number, "I"), ladder.Policy(), past)
        made.append(trees.saved(plan))
    return made


def test_the_newest_without_a_wish() -> None:
    manifests = chain()
    for order in (manifests, manifests[::-1]):
        tree, point = choose.timepoint(order, None)
        assert (tree, point.id) == (manifests[2], "T3")


def test_jobs_that_began_within_the_same_second() -> None:
    """The older one's state must not come back. The long proof is quick enough to see that."""
    manifests = chain()
    for tree in manifests:
        tree.timepoint = dataclasses.replace(tree.point, taken="2026-11-22T10:00:00")
    for order in (manifests, manifests[::-1]):
        assert choose.timepoint(order, None)[1].id == "T3"


def test_an_older_one_by_its_name() -> None:
    manifests = chain()
    for number, wanted in enumerate(["T1", "T2", "T3"]):
        tree, point = choose.timepoint(manifests, wanted)
        assert (tree, point.id) == (manifests[number], wanted)


def test_one_that_no_selected_job_holds() -> None:
    with pytest.raises(choose.ChoiceError, match="no time point T9; .* hold T1, T2, T3"):
        choose.timepoint(chain(), "T9")


def test_manifests_of_two_vms() -> None:
    (first, *_) = chain()
    other = dataclasses.replace(
        first, vm=dataclasses.replace(first.vm, name="other", instance_uuid="other-uuid")
    )
    with pytest.raises(choose.ChoiceError, match=r"several VMs: other \(other-uuid\), vm \("):
        choose.timepoint([first, other], None)
