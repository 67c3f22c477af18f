# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disk files that clients have open through the doors."""

from __future__ import annotations

import time
from collections.abc import Iterable

from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.vm.machine import Machine

PATIENCE = 1.0  # seconds a client may need to go
_STEP = 0.01
_CLOSING = 30.0  # seconds a server may need to close a disk once its client has gone


def check_closed(vm: Machine, paths: Iterable[str]) -> None:
    """Raises FileLocked if one of the disk files stays open.

    To be called without the simulation's lock, as it waits.
    """
    store = vm.vcenter.store
    began = time.monotonic()
    for path in paths:
        while store.exists(path) and store.open_count(path):
            if time.monotonic() - began > (_CLOSING if store.is_left(path) else PATIENCE):
                raise faults.locked(path)
            time.sleep(_STEP)
