# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of its own; whatever a test does, no job leaves anything behind."""
    made = Site(tmp_path)
    yield made
    try:
        assert made.remains() == []
    finally:
        made.close()
