# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""That the bench runs, on a disk too small for its figures to mean anything."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import lz4.block
import pytest

from tests.bench import rows, schedule
from tests.bench.content import MIB, Content
from tests.bench.disks import Disks

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Path:
    """Not below /tmp, which may be a tmpfs; kept, so that the next run is quicker."""
    return REPOSITORY / "build" / "bench-smoke"


@pytest.mark.timeout(1800)
def test_two_rows(folder: Path, tmp_path: Path) -> None:
    process = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench", "--rows", "backup,restore", "--rounds", "1"),
            *("--size", "0.0625", "--dir", str(folder), "--json", str(tmp_path / "runs.json")),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads((tmp_path / "runs.json").read_text())
    assert {figure["row"] for figure in found["figures"]} == {"backup", "restore"}
    assert all(figure["value"] > 0 for figure in found["figures"]), process.stdout
    movers = [run for run in found["runs"] if run["subject"] == "mover"]
    assert len(movers) == 2
    for run in movers:
        assert run["more"]["data_bytes"] + run["more"]["zero_bytes"] == 64 * MIB
        assert run["wall"] > 0 and run["cpu"] > 0 and run["peaks"]["mover"] > 10 * MIB


def test_every_row_has_a_title_and_a_time() -> None:
    assert all(rows.title(name) for name in rows.NAMES)
    assert tuple(schedule.FULL) == rows.NAMES
    assert sum(schedule.FULL.values()) <= 13.5 * 60


def test_rows_that_begin_late_run_fewer_rounds() -> None:
    now = 100.0
    plan = schedule.Schedule(rows.NAMES, 0.5, lambda: now)
    began = {name: sum(list(schedule.FULL.values())[:n]) / 2 for n, name in enumerate(rows.NAMES)}
    for late, rounds in ((-10.0, 3), (4.0, 3), (6.0, 2), (22.0, 2), (23.0, 1)):
        for name in rows.NAMES:
            now = 100 + began[name] + late
            assert plan.rounds(name, 3) == rounds, (name, late)
            assert plan.rounds(name, 1) == 1


def test_the_mix_is_what_the_goals_speak_of() -> None:
    pieces = list(Content().mix(20 * MIB))
    assert sum(map(len, pieces)) == 20 * MIB
    zeros = sum(len(piece) for piece in pieces if not any(piece))
    assert zeros == 4 * MIB
    text = Content().text(MIB)
    assert 0.60 < len(lz4.block.compress(text, store_size=False)) / len(text) < 0.68
    noise = Content().noise(MIB)
    assert len(lz4.block.compress(noise, store_size=False)) > len(noise)


def test_of_a_folder_only_what_was_made_before_is_removed(tmp_path: Path) -> None:
    ours = ["mix-1048576.1.raw", "changed-mix-1048576-0.01.1.raw", "thin-1-2-3.1.raw"]
    kept = ["mix-1048576.2.raw", "web1.1.raw", "disk.raw", "mix-a.1.raw", "mix-1.1.raw.bak"]
    for name in ours + kept:
        (tmp_path / name).touch()
    Disks(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_content_is_the_same_each_time() -> None:
    random.seed(5)
    one = list(Content().mix(10 * MIB))
    random.seed(6)
    assert one == list(Content().mix(10 * MIB))
