# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A small, fixed budget of the proof; scripts/prove runs any budget with any seed."""

from __future__ import annotations

import random

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.proof import damage, disturbed
from tests.proof.machine import LifeOfATree
from tests.proof.somebody import When
from tests.proof.world import World

BUDGET = hypothesis.settings(
    max_examples=2,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.timeout(1800)
def test_random_histories_come_back_byte_for_byte() -> None:
    run_state_machine_as_test(LifeOfATree, settings=BUDGET)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("seed", "flavour"), [(16, "vcenter")])
def test_one_disturbance_of_each_kind(seed: int, flavour: str) -> None:
    source = random.Random(seed)
    with World(disks=1, flavour=flavour) as world:
        for number, name in enumerate("ab"):
            world.write(0, number * 0.2, 70_000, number + 1)
            world.snapshot(name)
        world.backup("Full")
        world.revert(0)
        world.write(0, 0.6, 70_000, 5)
        world.daemon.clock_ahead = 3600 * source.randrange(-5, 6)
        deed = source.choice(disturbed.DURING_BACKUPS)
        when = When("CreateSnapshot_Task", source.randrange(12))
        world.disturbed_backup("Incremental", 0, deed, source.randrange(9), when)
        world.backup("Incremental", by=1)
        world.backup("Incremental")
        deed = source.choice(disturbed.DURING_RESTORES)
        when = When("CreateSnapshot_Task", source.randrange(12))
        world.disturbed_restore(-1, deed, source.randrange(9), when)
        world.restore_mix([0, 1, 2], [], [], None, [])
        way = source.choice(list(damage.WAYS))
        world.damaged_restore(-1, source.choice(damage.KINDS), way, seed, False)
        done = sorted(name for name in world.counts if ": " in name)
        assert len(done) == 4, done
