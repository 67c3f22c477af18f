# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import dataclasses
from typing import Optional

import pytest

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import cbt_trust, method_ladder, plan_backup
from tests.tree import trees

BASE = cbt_trust.End(trees.disk("[ds] a.vmdk", (), 3), tracked=True)
CHILD = cbt_trust.End(trees.disk("[ds] b.vmdk", ("[ds] a.vmdk",), 4), tracked=True)


def changed(end: cbt_trust.End, **fields: object) -> cbt_trust.End:
    return dataclasses.replace(end, disk=dataclasses.replace(end.disk, **fields))  # type: ignore[arg-type]


def test_agreeing_change_ids_are_trusted_with_a_comparison_behind() -> None:
    rungs = method_ladder.rungs(BASE, CHILD, method_ladder.Policy())
    assert [rung.method for rung in rungs] == [method_names.CBT, method_names.COMPARE]


@pytest.mark.parametrize(
    ("base", "child", "why"),
    [
        (dataclasses.replace(BASE, tracked=False), CHILD, "CBT was off when the base"),
        (BASE, dataclasses.replace(CHILD, tracked=False), "CBT was off when the snapshot"),
        (dataclasses.replace(BASE, restored_by="job.7"), CHILD, "restored (by job.7)"),
        (changed(BASE, change_id=None), CHILD, "the base has no change id"),
        (BASE, changed(CHILD, change_id=None), "the snapshot has no change id"),
        (changed(BASE, change_id="52 zz/3"), CHILD, "malformed"),
        (changed(BASE, change_id="52 2d"), CHILD, "malformed"),
        (changed(BASE, change_id=f"{trees.uuid('53')}/3"), CHILD, "different UUIDs"),
        (changed(BASE, change_id=f"{trees.uuid()}/4"), CHILD, "does not rise (4 to 4)"),
        (changed(BASE, change_id=f"{trees.uuid()}/9"), CHILD, "does not rise (9 to 4)"),
        (changed(BASE, capacity=512), CHILD, "size changed"),
        (BASE, changed(CHILD, chain=("[ds] other.vmdk",)), "not in the disk's backing chain"),
    ],
)
def test_what_is_not_trusted_is_compared(
    base: cbt_trust.End, child: cbt_trust.End, why: str
) -> None:
    (rung,) = method_ladder.rungs(base, child, method_ladder.Policy())
    assert rung.method == method_names.COMPARE
    assert why in rung.reason


def test_an_admin_may_want_a_full_segment_instead() -> None:
    untracked = dataclasses.replace(BASE, tracked=False)
    (rung,) = method_ladder.rungs(untracked, CHILD, method_ladder.Policy(method_names.FULL))
    assert rung.method == method_names.FULL


def test_an_admin_may_want_the_links_own_content() -> None:
    policy = method_ladder.Policy(method_names.LINK)
    untracked = dataclasses.replace(BASE, tracked=False)
    assert [r.method for r in method_ladder.rungs(untracked, CHILD, policy)] == [
        method_names.LINK,
        method_names.COMPARE,
    ]
    assert [r.method for r in method_ladder.rungs(BASE, CHILD, policy)] == [
        method_names.CBT,
        method_names.LINK,
        method_names.COMPARE,
    ]


@pytest.mark.parametrize(
    ("chain", "why"),
    [
        (("[ds] between.vmdk", "[ds] a.vmdk"), "not the direct parent"),
        ((), "not the direct parent"),
        (("[ds] a.vmdk",), None),
    ],
)
def test_a_file_without_a_name_in_between_forbids_the_link(
    chain: tuple[str, ...], why: Optional[str]
) -> None:
    untracked = dataclasses.replace(BASE, tracked=False)
    first = method_ladder.rungs(
        untracked, changed(CHILD, chain=chain), method_ladder.Policy(method_names.LINK)
    )[0]
    assert first.method == (method_names.COMPARE if why else method_names.LINK)
    assert "CBT was off when the base" in first.reason
    assert (why or "no link") in first.reason or why is None


def test_a_disk_that_grew_is_no_link() -> None:
    untracked = dataclasses.replace(BASE, tracked=False)
    grown = changed(CHILD, capacity=BASE.disk.capacity * 2)
    (rung,) = method_ladder.rungs(untracked, grown, method_ladder.Policy(method_names.LINK))
    assert (rung.method, "size changed" in rung.reason) == (method_names.COMPARE, True)


def test_an_admin_may_forbid_every_fallback() -> None:
    untracked = dataclasses.replace(BASE, tracked=False)
    assert method_ladder.rungs(untracked, CHILD, method_ladder.Policy(method_ladder.FAIL)) == ()
    (rung,) = method_ladder.rungs(BASE, CHILD, method_ladder.Policy(method_ladder.FAIL))
    assert rung.method == method_names.CBT


def test_an_admin_may_do_without_cbt() -> None:
    observed = trees.observed("A\n  B *\n")
    planned = plan_backup.plan(observed, trees.job(), method_ladder.Policy(use_cbt=False))
    assert [[r.method for r in task.rungs] for task in planned.tasks] == [
        [method_names.ALLOCATED],
        [method_names.COMPARE],
        [method_names.COMPARE],
    ]
    assert {task.distrust for task in planned.tasks[1:]} == {"use_cbt=no"}


def test_a_root_is_read_by_what_is_allocated() -> None:
    (rung,) = method_ladder.rungs(None, CHILD, method_ladder.Policy(method_ladder.FAIL))
    assert rung.method == method_names.ALLOCATED


def test_a_deleted_base_can_only_be_asked_by_its_change_id() -> None:
    (rung,) = method_ladder.remembered(BASE, "T1")
    assert (rung.method, rung.reason) == (method_names.CBT, "change id remembered from T1")
    (rung,) = method_ladder.remembered(None, "T1")
    assert rung.method == method_names.ALLOCATED


@pytest.mark.parametrize("text", [None, "", "/1", "52/", "52/x", "*", "52/1/2", "5g/1"])
def test_malformed_change_ids(text: str) -> None:
    assert cbt_trust.parse_change_id(text) is None
