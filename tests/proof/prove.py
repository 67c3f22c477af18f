# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Runs the proof for some minutes: python -m tests.proof.prove --minutes 10 --seed 1"""

from __future__ import annotations

import sys
import time
from typing import Optional

import click
import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import AFTER, END, ON, SUBJECTS, TOTALS, LifeOfATree, TimeIsUp
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
@click.option(
    "--only",
    type=click.Choice([*SUBJECTS, "none"]),
    multiple=True,
    help="Disturb only this; may be given several times.",
)
@click.option(
    "--shrink/--no-shrink",
    default=True,
    show_default=True,
    help="Look for the shortest failing history, which takes a while.",
)
def main(
    minutes: float, seed: int, steps: int, transport: str, only: tuple[str, ...], shrink: bool
) -> None:
    """Play random histories until the time is up; exit 1 with the shortest failing one."""
    World.transport = transport
    if only:
        ON.intersection_update(only)
    AFTER.append(lambda: click.echo(_summary()))
    END[0] = time.monotonic() + minutes * 60
    budget = hypothesis.settings(
        max_examples=50,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])],
    )
    rounds = 0
    while time.monotonic() < END[0]:
        test = hypothesis.seed(seed * 1_000_003 + rounds)(LifeOfATree)
        try:
            run_state_machine_as_test(test, settings=budget)
        except TimeIsUp:
            break
        except Exception as error:
            if _ended_in_time(error):
                break
            click.echo(f"FAILED with seed {seed}, round {rounds}; so far {_summary()}", err=True)
            raise
        finally:
            _tell_outcomes()
        rounds += 1
    click.echo(f"no failure: {_summary()}")
    sys.exit(0)


def _ended_in_time(error: Optional[BaseException]) -> bool:
    """Whether hypothesis only complains that the last history was not begun."""
    while error is not None:
        if isinstance(error, TimeIsUp):
            return True
        error = error.__cause__ or error.__context__
    return False


def _summary() -> str:
    counts = ", ".join(f"{TOTALS[n]} {n}" for n in ("histories", "actions", "jobs", "restores"))
    changed, sent = TOTALS["changed"], TOTALS["sent"]
    allowed = changed * 1.01 + 65536 * TOTALS["segments"]
    ratio = sent / changed if changed else 0.0
    return (
        f"{counts}; by CBT {sent} bytes were sent for {changed} truly changed "
        f"(ratio {ratio:.4f}, allowed {allowed:.0f} bytes)"
    )


def _tell_outcomes() -> None:
    """For each disturbance how the jobs ended."""
    kinds: dict[str, list[str]] = {}
    for name, count in sorted(TOTALS.items()):
        kind, colon, outcome = name.partition(": ")
        if colon:
            kinds.setdefault(kind, []).append(f"{count} {outcome}")
    for kind, outcomes in kinds.items():
        click.echo(f"  {kind}: {', '.join(outcomes)}")
    for name in sorted(
        name for name in TOTALS if name.startswith(("clocks", "changed l", "histories o"))
    ):
        click.echo(f"  {name}: {TOTALS[name]}")


if __name__ == "__main__":
    main()
