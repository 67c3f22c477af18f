# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Movers are started by both launchers, in tests that ask for it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from bareos_vmsnap.mover.client.launch import ForkServerClient
from bareos_vmsnap.mover.client.mover import Mover


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServerClient]:
    server = ForkServerClient()
    yield server
    server.close()


@pytest.fixture(params=["interpreter", "fork server"])
def both_launchers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a test names no launcher, a mover is started by this one."""
    if request.param == "interpreter":
        return
    server = request.getfixturevalue("fork_server")
    server.prepare()  # not within what a test counts
    monkeypatch.setattr(Mover, "read", functools.partial(Mover.read, launcher=server))
    monkeypatch.setattr(Mover, "write", functools.partial(Mover.write, launcher=server))
