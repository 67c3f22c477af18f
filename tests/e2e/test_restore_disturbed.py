# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Somebody else works with a VM while it is restored: the job fails, or brings all of it back.

Each action is done between two calls of the restore, for many of the places between calls; with
VMSNAP_EVERY_CALL=1 in the environment for all of them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from vmsnap_lab.vcenter.vm import rendering

from . import somebody_else
from .conftest import Saved
from .joblog import check_failed, check_ok, log
from .pictures import draw
from .portrait import Portrait
from .site import Site
from .somebody_else import SomebodyElse

# Two branches at A; with a helper snapshot at the beginning: A and D have no common root.
TREES = {"fork": "A\n  B\n  C *\n", "roots": "(X)\n  A\n    B\n  C *\n"}
ACTIONS: dict[str, somebody_else.Act] = {
    "revert to A": somebody_else.revert_to("A"),
    "revert to A twice": somebody_else.revert_to("A", times=2),
    "revert to B": somebody_else.revert_to("B"),
    "revert to C": somebody_else.revert_to("C"),
    "revert to C twice": somebody_else.revert_to("C", times=2),
    "delete A": somebody_else.delete("A"),
    "delete B": somebody_else.delete("B"),
    "delete C": somebody_else.delete("C"),
    "delete all": somebody_else.delete_all,
    "snapshot": somebody_else.snapshot,
    "snapshot and delete": somebody_else.snapshot_and_delete,
    "rename B": somebody_else.rename("B"),
    "run": somebody_else.run,
    "power on": somebody_else.power_on,
    "replace disk": somebody_else.remove_disk,
    "more CPUs": somebody_else.reconfigure(numCPUs=3),
    "CBT off": somebody_else.reconfigure(changeTrackingEnabled=False),
    "add NIC": somebody_else.add_nic,
}
# After these calls the restore looks no more: what is done then is done to a restored VM.
AFTER_THE_LAST_LOOK = ("Logout",)
EVERY = bool(os.environ.get("VMSNAP_EVERY_CALL"))
STRIDE, STRIDE_OF_TWO_REVERTS = (1, 1) if EVERY else (41, 29)


@pytest.fixture(scope="module", params=list(TREES))
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved]:
    site = Site(tmp_path_factory.mktemp("small"))
    machine = site.create(disks=[256 << 10])
    draw(machine, TREES[request.param])
    before = machine.portrait()
    job = site.backup()
    yield Saved(site, machine, before, job)
    site.close()


def of_a_copy(portrait: Portrait) -> Portrait:
    """Without MAC addresses: a copy beside its original gets new ones."""
    features = [
        {**each, "devices": [re.sub("'00:50:56:[^']*'", "", str(d)) for d in each["devices"]]}
        for each in portrait.features
    ]
    return replace(portrait, features=features)


def remove_copies(saved: Saved) -> None:
    for vm in saved.site.lab.vcenter.vms():
        if vm.moid != saved.machine.guest.moref:
            found = saved.site.find(vm.moid)
            if found.vm.runtime.powerState == "poweredOn":
                found.power_off()
            found.destroy()


def disturbed(saved: Saved, act: somebody_else.Act, number: int) -> tuple[str, SomebodyElse]:
    """One restore: "exact", "failed", "after the end" or "wrong"; somebody's deed."""
    somebody = SomebodyElse(saved.site, "copy", act, number)
    with somebody.acting():
        job = saved.restore(vmname="copy")
    if job.status == "T":
        portrait = saved.site.find("copy").portrait()
        outcome = "exact" if of_a_copy(portrait) == of_a_copy(saved.before) else "wrong"
        if outcome == "wrong" and somebody.done in AFTER_THE_LAST_LOOK:
            outcome = "after the end"
    else:
        outcome = "failed"
        check_failed(job, "")
        assert "copy" not in saved.site.vm_names(), "an incomplete VM looks complete: " + log(job)
    assert saved.site.remains() == []
    remove_copies(saved)
    return outcome, somebody


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.timeout(1800)
def test_somebody_acts_between_two_calls(small: Saved, action: str) -> None:
    play(small, action)


@pytest.mark.parametrize("action", [name for name in ACTIONS if name.endswith("twice")])
@pytest.mark.timeout(1800)
def test_somebody_reverts_and_extra_config_stays(small: Saved, action: str) -> None:
    """The restore's mark tells of no revert then."""
    small.site.lab.habits.revert_restores_options = False
    try:
        play(small, action, STRIDE_OF_TWO_REVERTS)
    finally:
        small.site.lab.habits.revert_restores_options = True


def play(small: Saved, action: str, stride: int = STRIDE) -> None:
    """One restore for every place of the action; none may be wrong."""
    counts: Counter[str] = Counter()
    wrong = []
    first = sorted(ACTIONS).index(action) % stride
    number = first
    while True:
        outcome, somebody = disturbed(small, ACTIONS[action], number)
        if somebody.done is None:
            assert outcome == "exact"
            break
        counts[outcome] += 1
        if outcome == "wrong":
            wrong.append((number, somebody.done))
        number += stride
    print(f"\n{action}: {dict(counts)}")
    assert wrong == [], f"{action}: {counts}"
    assert counts["failed"] + counts["exact"] > 0


def test_a_disk_is_replaced_when_a_helper_was_removed(site: Site) -> None:
    """Its file is expected to be another one then; that it is another disk is seen all the same."""
    machine = site.create(disks=[256 << 10])
    draw(machine, TREES["roots"])
    job = site.backup()
    somebody = SomebodyElse(site, "copy", somebody_else.remove_disk, 0)
    removing: list[str] = []

    def after_the_removal(method: str, session: Any) -> None:
        if removing:
            somebody.before(method, session)  # refused until the task has ended
        elif method == "RemoveSnapshot_Task":
            removing.append(method)

    site.lab.habits.before_call = after_the_removal
    restored = site.restore([job.jobid], vmname="copy")
    site.lab.habits.before_call = None
    check_failed(restored, r"Somebody changed the disks of VM copy \(scsi0-0 is another disk\)")
    assert somebody.done is not None


@pytest.mark.parametrize("tree", TREES)
def test_a_server_whose_reverts_leave_extra_config_alone(site: Site, tree: str) -> None:
    """No document of the API promises that a revert brings the restore's mark back."""
    site.lab.habits.revert_restores_options = False
    machine = site.create(disks=[256 << 10])
    draw(machine, TREES[tree])
    before = machine.portrait()
    job = site.backup()
    check_ok(site.restore([job.jobid], vmname="copy"))
    assert site.find("copy").portrait().faces == before.faces


def test_a_server_that_leaves_unset_whether_changes_are_tracked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The property is optional: unset means no."""
    machine = site.create(disks=[256 << 10])
    machine.reconfigure(changeTrackingEnabled=False)
    draw(machine, TREES["fork"])
    before = machine.portrait()
    job = site.backup(enable_cbt="no")
    assert job.status == "T", log(job)
    render = rendering.rendered

    def unset(*how: Any) -> Any:
        config = render(*how)
        config.changeTrackingEnabled = config.changeTrackingEnabled or None
        return config

    monkeypatch.setattr(rendering, "rendered", unset)
    check_ok(site.restore([job.jobid], vmname="copy"))
    assert site.find("copy").portrait().faces == before.faces
