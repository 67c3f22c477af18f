# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The proof can fail: a wrong byte is seen, and so is a product without one of its checks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proof import comparison, sabotage
from tests.proof.disturbed import ANOTHER_JOB
from tests.proof.reference import Machine
from tests.proof.somebody import When
from tests.proof.world import World

TAKING = "CreateSnapshot_Task"


def saved(world: World) -> World:
    """a, b and a state above them, in a Full."""
    for number, name in enumerate("ab"):
        world.write(0, number * 0.2, 70_000, number + 1)
        world.snapshot(name)
    world.write(0, 0.9, 70_000, 9)
    world.backup("Full")
    return world


class WrongByte(World):
    """One byte of what a restore brought back is changed before it is looked at."""

    def run_restore(self, *how: Any, **more: Any) -> Any:
        job = super().run_restore(*how, **more)
        for vm in self.lab.vcenter.vms():
            if vm.moid != self.moref:
                guest = self.lab.guest(vm.moid)
                before = guest.read(2000, 70_000, 1)
                guest.write(2000, 70_000, bytes([before[0] ^ 1]))
        return job


@pytest.mark.parametrize(
    "restore",
    [
        lambda world: world.restore(0),
        lambda world: world.restore_mix([0], [], [], None, []),
        lambda world: world.damaged_restore(0, "object", "flip", 1, False),
        lambda world: world.disturbed_restore(0, "consolidate", 0, When(TAKING, 0)),
    ],
    ids=["undisturbed", "mix", "damage", "disturbed"],
)
def test_a_wrong_byte(saved_once: WrongByte, restore: Callable[[World], None]) -> None:
    with pytest.raises(AssertionError, match="of the state differs at byte 70000"):
        restore(saved_once)
    saved_once.remove_restored()


@pytest.fixture(scope="module")
def saved_once() -> Iterator[WrongByte]:
    world = WrongByte(disks=1)
    saved(world)
    yield world
    world.close()


def _byte(machine: Machine, key: str) -> None:
    machine.snapshots[key].hardware.disks[2000][5] ^= 1


def _stands_at(machine: Machine, key: str) -> None:
    machine.current = key


SPOILED: dict[str, Callable[[Machine, str, str], object]] = {
    "disk 2000 of snapshot 'a' differs at byte 5": lambda m, a, b: _byte(m, a),
    "disk 2001 of the state differs": lambda m, a, b: m.hardware.disks[2001].pop(),
    "'x' (number 1), not 'a'": lambda m, a, b: setattr(m.snapshots[a], "name", "x"),
    "'b' (x)": lambda m, a, b: setattr(m.snapshots[b], "description", "x"),
    "hangs elsewhere": lambda m, a, b: setattr(m.snapshots[b], "parent", None),
    "the NVRAM is another one": lambda m, a, b: setattr(m, "nvram", b"other"),
    "stands elsewhere": lambda m, a, b: _stands_at(m, a),
    "snapshots ['a'], not ['a', 'b']": lambda m, a, b: m.snapshots.pop(b),
    "the state has CPUs": lambda m, a, b: setattr(m.hardware, "cpus", 3),
    "snapshot 'b' has CPUs": lambda m, a, b: setattr(m.snapshots[b].hardware, "nics", 0),
    "the state has CPUs, MB, NICs, disks (1, 256, 1, [2001])": (
        lambda m, a, b: m.hardware.disks.pop(2000)
    ),
}


def test_everything_is_compared() -> None:
    with World(disks=2) as world:
        saved(world)
        wanted = world.machine
        for told, spoil in SPOILED.items():
            found = wanted.copy()
            spoil(found, *found.snapshots)
            assert told in " ".join(comparison.differences(found, wanted))
        assert comparison.differences(wanted.copy(), wanted) == []


def test_a_backup_whose_moment_is_not_what_is_compared() -> None:
    """The lab's store is read when the snapshot is taken: the reference alone would not do."""
    with World(disks=1) as world:
        saved(world)
        world.lab.guest(world.moref).write(2000, 0, b"behind the reference's back")
        with pytest.raises(AssertionError, match="the lab and the reference differ"):
            world.backup("Incremental")


def test_reverts_that_the_product_overlooks(tmp_path: Path) -> None:
    blind = """
    from bareos_vmsnap.tree import lineage
    lineage.distrust = lambda *how: None
    """
    with sabotage.world(tmp_path, blind) as world:
        saved(world)
        for _ in range(2):
            world.revert(1)
            world.write(0, 0.4, 70_000, 5)
        with pytest.raises(AssertionError, match="differs at byte"):
            world.backup("Incremental")
            world.restore(-1)


def test_a_revert_during_a_job_that_the_product_overlooks(tmp_path: Path) -> None:
    blind = """
    from bareos_vmsnap.tree import lineage
    lineage.distrust = lambda *how: None
    """
    with sabotage.world(tmp_path, blind) as world:
        saved(world)
        with pytest.raises(AssertionError, match="differs at byte"):
            world.disturbed_backup("Incremental", 0, "revert twice", 1, When(None, 0))


def test_a_user_of_a_restored_vm_whom_the_product_overlooks(tmp_path: Path) -> None:
    blind = """
    from bareos_vmsnap.tree import vm_changes
    vm_changes.differences = lambda *how: []
    """
    with sabotage.world(tmp_path, blind) as world:
        saved(world)
        with pytest.raises(AssertionError, match="'renamed 0'"):
            world.disturbed_restore(0, "rename one", 0, When("Rename_Task", 0))


def test_another_job_that_the_product_overlooks(tmp_path: Path) -> None:
    """It saves the other one's snapshot as if a user had taken it."""
    blind = """
    from bareos_vmsnap.vsphere import markers
    markers.leftover = lambda *how: None
    """
    # How many calls wait for the task depends on how fast this machine is.
    for after in (9, 8, 10, 7, 11, 6, 12):
        (tmp_path / str(after)).mkdir()
        with sabotage.world(tmp_path / str(after), blind) as world:
            saved(world)
            try:
                world.disturbed_backup("Full", 0, ANOTHER_JOB, 8, When(TAKING, after))
            except AssertionError as error:
                assert "vmsnap backup" in str(error)
                return
    pytest.fail("nobody has seen the other job's snapshot")


def test_a_clock_that_the_product_believes(tmp_path: Path) -> None:
    by_clock = """
    from bareos_vmsnap.tree import time_point_choice
    time_point_choice.newest = lambda trees: time_point_choice.Choice(max(trees, key=lambda tree: tree.point.taken))
    """
    with sabotage.world(tmp_path, by_clock) as world:
        world.daemon.clock_ahead = 3 * 3600
        saved(world)
        world.daemon.clock_ahead = 0
        world.write(0, 0.4, 70_000, 5)
        world.backup("Full")
        with pytest.raises(AssertionError, match="differs at byte"):
            world.restore_mix([0, 1], [], [], None, [])


def test_a_mix_whose_oldest_job_the_product_takes(tmp_path: Path) -> None:
    oldest = """
    from bareos_vmsnap.tree import time_point_choice
    time_point_choice.newest = lambda trees: time_point_choice.Choice(min(trees, key=lambda tree: tree.point.jobid))
    """
    with sabotage.world(tmp_path, oldest) as world:
        saved(world)
        world.write(0, 0.4, 70_000, 5)
        world.backup("Full")
        with pytest.raises(AssertionError, match="differs at byte"):
            world.restore_mix([0, 1], [], [], None, [])


def test_a_mix_that_fails_without_need(tmp_path: Path) -> None:
    never = """
    from bareos_vmsnap.tree import time_point_choice
    def newest(trees):
        raise time_point_choice.ChoiceError("I do not know", id="time-points-contradict")
    time_point_choice.newest = newest
    """
    with sabotage.world(tmp_path, never) as world:
        saved(world)
        with pytest.raises(AssertionError, match="I do not know"):
            world.restore_mix([0], [], [], None, [])


def test_a_damaged_manifest_that_the_product_passes_over(tmp_path: Path) -> None:
    """And so takes the older one, which is whole."""
    careless = """
    from bareos_vmsnap.fd import selected_manifests
    for each in vars(selected_manifests).values():
        if hasattr(each, "doubts"):
            each.doubts = lambda self, choice: []
    """
    with sabotage.world(tmp_path, careless) as world:
        saved(world)
        world.write(0, 0.4, 70_000, 5)
        world.backup("Incremental")
        with pytest.raises(AssertionError, match="differs at byte"):
            world.damaged_restore(-1, "manifest", "empty", seed_for_the_second_of_two(), True)


def seed_for_the_second_of_two() -> int:
    """A seed by which the second manifest is damaged and no time point is asked for."""
    for seed in range(1000):
        source = random.Random(seed)
        first, _ = source.choice([False, True]), source.choice([0, 1])
        if first and source.random() >= 0.7:
            return seed
    raise AssertionError


@pytest.mark.parametrize(
    ("left", "forgetful"),
    [
        ("snapshot vmsnap backup", "backup_snapshot.BackupSnapshot.delete = lambda self: None"),
        ("session of", "session.Session.close = lambda self: None"),
    ],
)
def test_what_a_job_leaves(tmp_path: Path, left: str, forgetful: str) -> None:
    lines = f"""
    from bareos_vmsnap.fd import backup_snapshot
    from bareos_vmsnap.vsphere import session
    {forgetful}
    """
    with sabotage.world(tmp_path, lines) as world, pytest.raises(AssertionError, match=left):
        world.backup("Full")


@pytest.mark.parametrize("deed", ["write", "snapshot"])
def test_what_is_done_before_the_moment_is_saved_and_what_comes_after_is_not(deed: str) -> None:
    """A reference that is taken too early or too late is found out."""
    with World(disks=1) as world:
        saved(world)
        world.disturbed_backup("Incremental", 0, deed, 0, When(None, 0))
        world.disturbed_backup("Incremental", 0, deed, 0, When(TAKING, 4))
        early, late = world.points[-2:]
        assert len(early.saved) == 1
        late.saved = [world.machine.copy()]  # as it is after the job
        with pytest.raises(AssertionError):
            world.restore(-1)
