# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The command line: python -m tests.bench --quick"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Optional

import click

from tests.bench import profile, report, room, rows
from tests.bench.bench import Bench
from tests.bench.content import GIB, MIB
from tests.bench.figures import Skipped
from tests.bench.schedule import Schedule

_REPOSITORY = Path(__file__).resolve().parents[2]
_SIZE, _SIZE_QUICK = 4.0, 0.75  # GiB
_ROUNDS, _ROUNDS_QUICK = 3, 1
_LEAST = 0.0625  # GiB
_REASON = 100  # characters of a failure in the table


@click.command()
@click.option("--quick", is_flag=True, help="About two minutes: 0.75 GiB, one round.")
@click.option("--rows", "selected", default="", help=f"Only these: {','.join(rows.NAMES)}")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write every run to a file.")
@click.option("--size", type=float, help="GiB of the big disk.")
@click.option("--rounds", type=int, help="How often each subject runs; medians count.")
@click.option(
    "--profile",
    "profiles",
    type=click.Path(path_type=Path, file_okay=False),
    help="Instead of rows: profile both directions with perf; flame graphs go here.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_REPOSITORY / "build" / "bench",
    help="Where the disks are kept between runs: not on a tmpfs.",
)
def main(
    quick: bool,
    selected: str,
    path: Optional[Path],
    size: Optional[float],
    rounds: Optional[int],
    profiles: Optional[Path],
    folder: Path,
) -> None:
    """Measure the data path against its references and print one table (docs/performance.md)."""
    names = selected.split(",") if selected else list(rows.NAMES)
    unknown = sorted({*names} - {*rows.NAMES})
    if unknown:
        raise click.BadParameter(f"there is no row {unknown[0]}", param_hint="--rows")
    if size is not None and size < _LEAST:
        raise click.BadParameter(f"must be at least {_LEAST}", param_hint="--size")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        length = _length(folder, size, quick)
    except room.NoRoom as error:
        raise click.ClickException(str(error)) from error
    count = rounds or (_ROUNDS_QUICK if quick else _ROUNDS)
    lines: list[report.Line] = []
    started = time.monotonic()
    # Who asks for a larger disk waits longer.
    schedule = Schedule(names, max(1.0, length / (_SIZE * GIB)))
    with Bench(
        folder.resolve(), length, quick=quick, rounds=count, patient=rounds is not None
    ) as bench:
        if profiles:
            try:
                click.echo(profile.take(bench, profiles))
            except profile.CannotProfile as error:
                raise click.ClickException(str(error)) from error
            return
        for name in names:
            begun = time.monotonic()
            _say(f"{name}: {rows.title(name)} ...")
            if rounds is None:
                bench.rounds = schedule.rounds(name, count)
                if bench.rounds < count:
                    _say(f"{name}: {bench.rounds} of {count} rounds, for time is short")
            try:
                lines += rows.run(name, bench)
            except Exception as error:  # noqa: BLE001 - the other rows are worth having
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                _say(f"{name} failed: {reason}")
                lines.append(Skipped(name, "failed", reason[:_REASON]))
            _say(f"{name}: {time.monotonic() - begun:.0f} s")
        about = {"size": length, "rounds": count, "seconds": time.monotonic() - started}
        if path:
            report.write(path, lines, bench.runs, about)
    click.echo(report.table(lines))
    if any(line.row == "growth" for line in lines):
        click.echo("\n" + report.plots(lines))
    click.echo(f"\n{about['seconds']:.0f} s on {report.machine()['cpu']}")


def _length(folder: Path, size: Optional[float], quick: bool) -> int:
    """Bytes of the big disk: as asked for, or as many as there is room for. Raises room.NoRoom."""
    room.check_folder(folder)
    # In whole MiB, for requests of any size to fit.
    length = int((size or (_SIZE_QUICK if quick else _SIZE)) * GIB) // MIB * MIB
    if size:
        room.check(folder, length)
        return length
    fitting = room.largest(folder, length)
    if fitting < length:
        _say(f"There is room for --size {fitting / GIB:g} only (see docs/performance.md)")
    return fitting


def _say(text: str) -> None:
    click.echo(text, err=True)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
