# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs the proof for some minutes: python -m tests.proof.prove --minutes 10 --seed 1"""

from __future__ import annotations

import sys
import time

import click
import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import TOTALS, LifeOfATree
from tests.proof.world import World
from vmsnap_lab import plugin_options


@click.command()
@click.option("--minutes", type=float, default=5.0, show_default=True)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Other seeds, other histories."
)
@click.option("--steps", type=int, default=40, show_default=True, help="Longest history.")
@click.option(
    "--transport",
    type=click.Choice(plugin_options.TRANSPORTS),
    default="nbd",
    show_default=True,
    help="How jobs reach disks.",
)
def main(minutes: float, seed: int, steps: int, transport: str) -> None:
    """Play random histories until the time is up; exit 1 with the shortest failing one."""
    World.transport = transport
    end = time.monotonic() + minutes * 60
    budget = hypothesis.settings(
        max_examples=10,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    rounds = 0
    while time.monotonic() < end:
        test = hypothesis.seed(seed * 1_000_003 + rounds)(LifeOfATree)
        try:
            run_state_machine_as_test(test, settings=budget)
        except Exception:
            click.echo(f"FAILED with seed {seed}, round {rounds}; so far {_summary()}", err=True)
            raise
        rounds += 1
        click.echo(f"round {rounds}: {_summary()}")
    sys.exit(0)


def _summary() -> str:
    counts = ", ".join(
        f"{TOTALS.get(n, 0)} {n}" for n in ("histories", "actions", "jobs", "restores")
    )
    changed = TOTALS.get("changed", 0)
    allowed = changed * 1.01 + 65536 * TOTALS.get("segments", 0)
    ratio = TOTALS.get("sent", 0) / changed if changed else 0.0
    return (
        f"{counts}; by CBT {TOTALS.get('sent', 0)} bytes were sent for {changed} truly changed "
        f"(ratio {ratio:.4f}, allowed {allowed:.0f} bytes)"
    )


if __name__ == "__main__":
    main()
