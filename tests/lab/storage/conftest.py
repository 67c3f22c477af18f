# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmsnap_lab.storage import DiskStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    with DiskStore(tmp_path / "lab", ["datastore1", "slow disks"]) as opened:
        yield opened


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="doors-") as folder:
        yield Path(folder)
