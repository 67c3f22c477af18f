# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The rows of the table: modules with `run`, which yields figures, in the order of the table."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Union

from tests.bench.bench import Bench
from tests.bench.figures import Figure, Skipped

NAMES = (
    "backup",
    "restore",
    "plugin",
    "vddk",
    "bareos",
    "memory",
    "plugin_memory",
    "incremental",
    "tree",
    "compare",
    "thin",
    "latency",
    "compression",
    "growth",
)


def run(name: str, bench: Bench) -> Iterator[Union[Figure, Skipped]]:
    """Measure one row. Raises what its subjects raise."""
    yield from importlib.import_module(f"{__name__}.{name}").run(bench)


def title(name: str) -> str:
    """The first line of the row's documentation."""
    description = importlib.import_module(f"{__name__}.{name}").__doc__ or ""
    return description.splitlines()[0].rstrip(".")
