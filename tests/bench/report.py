# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The table for people, and the JSON with every run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Union

from tests.bench.figures import Figure, Skipped

Line = Union[Figure, Skipped]
_BAR = 40  # characters


def table(lines: Sequence[Line]) -> str:
    """A Markdown table: row, what, figure, reference, goal, met."""
    rows = [("row", "what", "figure", "reference", "goal", "met"), *map(_row, lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    head, *rest = (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    )
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([head, rule, *rest])


def plots(lines: Sequence[Line]) -> str:
    """Bars for what the row `growth` found, one block for each thing that grows."""
    blocks: dict[str, list[Figure]] = {}
    for line in lines:
        if isinstance(line, Figure) and line.row == "growth":
            blocks.setdefault(line.what.partition(":")[0], []).append(line)
    return "\n\n".join(_plot(figures) for figures in blocks.values())


def write(path: Path, lines: Sequence[Line], runs: Sequence[Any], about: dict[str, Any]) -> None:
    """Everything as JSON."""
    found = [
        {**asdict(line), "met": line.met} if isinstance(line, Figure) else asdict(line)
        for line in lines
    ]
    whole = {"about": {**machine(), **about}, "figures": found, "runs": list(runs)}
    path.write_text(json.dumps(whole, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Where this was measured."""
    memory = next(
        (line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0"
    )
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": next(
            (line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if "model name" in line),
            platform.machine(),
        ),
        "memory_bytes": int(memory) * 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "versions": [_version(program) for program in ("nbdkit", "nbdcopy", "lz4", "qemu-nbd")],
    }


def _row(line: Line) -> tuple[str, str, str, str, str, str]:
    if isinstance(line, Skipped):
        return (line.row, line.what, "skipped", line.reason, "", "")
    number = _number(line.value)
    goal = "" if line.goal is None else f"{'<=' if line.at_most else '>='} {line.goal:g}"
    met = {None: "", True: "yes", False: "NO"}[line.met]
    beside = "; ".join(filter(None, (line.reference, line.note)))
    return (line.row, line.what, f"{number} {line.unit}".strip(), beside, goal, met)


def _plot(figures: Sequence[Figure]) -> str:
    most = max(figure.value for figure in figures)
    names = [figure.what.partition(": ")[2] for figure in figures]
    width = max(map(len, names))
    head = figures[0].what.partition(":")[0]
    lines = [f"{head} ({figures[0].unit}; {figures[0].reference})"]
    for name, figure in zip(names, figures):
        bar = "#" * max(1, round(_BAR * figure.value / most))
        lines.append(f"  {name.rjust(width)}  {bar} {_number(figure.value)}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _version(program: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        return f"{program}: not installed"
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
