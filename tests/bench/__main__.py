# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The command line: python -m tests.bench --quick"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

import click

from tests.bench import profile, report, rows
from tests.bench.bench import Bench
from tests.bench.content import GIB, MIB
from tests.bench.figures import Skipped

_REPOSITORY = Path(__file__).resolve().parents[2]
_SIZE, _SIZE_QUICK = 4.0, 1.0  # GiB
_ROUNDS, _ROUNDS_QUICK = 3, 2
_SPACE = 7  # times the size, on disk
_REASON = 100  # characters of a failure in the table


@click.command()
@click.option("--quick", is_flag=True, help="About two minutes: 1 GiB, fewer rounds.")
@click.option("--rows", "chosen", default="", help=f"Only these: {','.join(rows.NAMES)}")
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
    chosen: str,
    path: Optional[Path],
    size: Optional[float],
    rounds: Optional[int],
    profiles: Optional[Path],
    folder: Path,
) -> None:
    """Measure the data path against its references and print one table (docs/performance.md)."""
    names = chosen.split(",") if chosen else list(rows.NAMES)
    unknown = sorted({*names} - {*rows.NAMES})
    if unknown:
        raise click.BadParameter(f"there is no row {unknown[0]}", param_hint="--rows")
    # In whole MiB, for requests of any size to fit.
    length = int((size or (_SIZE_QUICK if quick else _SIZE)) * GIB) // MIB * MIB
    if length < 64 * MIB:
        raise click.BadParameter("must be at least 0.0625", param_hint="--size")
    folder.mkdir(parents=True, exist_ok=True)
    _check_place(folder, length)
    count = rounds or (_ROUNDS_QUICK if quick else _ROUNDS)
    lines: list[report.Line] = []
    started = time.monotonic()
    with Bench(folder.resolve(), length, quick=quick, rounds=count) as bench:
        if profiles:
            click.echo(profile.take(bench, profiles))
            return
        for name in names:
            begun = time.monotonic()
            _say(f"{name}: {rows.title(name)} ...")
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


def _check_place(folder: Path, size: int) -> None:
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    kind = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if kind == "tmpfs":
        raise click.BadParameter(f"{folder} is on a tmpfs", param_hint="--dir")
    free = shutil.disk_usage(folder).free
    if free < _SPACE * size:
        raise click.BadParameter(
            f"{folder} has {free / GIB:.0f} GiB free, needed are {_SPACE * size / GIB:.0f}",
            param_hint="--dir",
        )


def _say(text: str) -> None:
    click.echo(text, err=True)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
