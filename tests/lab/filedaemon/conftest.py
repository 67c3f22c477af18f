# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A loopback file daemon in a folder of its own, and the script of its tracer plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmsnap_lab.filedaemon import FileDaemon

from . import tracer


@pytest.fixture
def script(tmp_path: Path) -> tracer.Script:
    return tracer.Script(tmp_path)


@pytest.fixture
def fd(tmp_path: Path) -> FileDaemon:
    return FileDaemon(tmp_path / "fd", plugin_path=tracer.PLUGINS)
