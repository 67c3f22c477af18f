# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmsnap_lab.lab import Lab

from . import installation
from .bareos import Bareos
from .proxy import Proxy

_TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow our tests more time; skip those that need a Bareos if there is none."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS))
        if "running" in getattr(item, "fixturenames", ()) and _missing():
            item.add_marker(pytest.mark.skip(reason=_missing()))


@functools.lru_cache
def _missing() -> str:
    """What is not installed, or nothing."""
    try:
        installation.find()
    except installation.NotInstalled as missing:
        return str(missing)
    return ""


@pytest.fixture(scope="session")
def running() -> Iterator[Proxy]:
    """One Bareos and one vCenter for all tests; $VMSNAP_KEEP keeps their files."""
    bareos = installation.find()
    root = Path(tempfile.mkdtemp(prefix="vmsnap-bareos-", dir="/tmp"))
    root.chmod(0o755)
    try:
        with Lab(root / "lab") as lab:
            site = Bareos(bareos, root, lab)
            try:
                site.start()
                yield Proxy(site, lab)
            finally:
                site.stop()
    finally:
        if not os.environ.get("VMSNAP_KEEP"):
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def proxy(running: Proxy) -> Iterator[Proxy]:
    """The Bareos of the session with no VM in the vCenter; no job leaves anything behind."""
    running.begin()
    yield running
    try:
        assert running.remains() == []
    finally:
        running.clean_up()
