# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The loopback file daemon makes the calls that the real one makes."""

from __future__ import annotations

from pathlib import Path

from . import traces
from .proxy import Proxy


def test_the_loopback_file_daemon_is_true(tmp_path: Path) -> None:
    """Against the traces recorded from the real one: needs no Bareos."""
    assert traces.play_loopback(tmp_path) == traces.recorded()


def test_the_real_file_daemon_does_as_recorded(proxy: Proxy) -> None:
    assert traces.play_real(proxy) == traces.recorded()
