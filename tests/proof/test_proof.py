# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A small, fixed budget of the proof; scripts/prove runs any budget with any seed."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import LifeOfATree

BUDGET = hypothesis.settings(
    max_examples=4,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.timeout(1800)
def test_random_histories_come_back_byte_for_byte() -> None:
    run_state_machine_as_test(LifeOfATree, settings=BUDGET)
