# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""NBD doors to the disks of VMs: unix sockets, named by VM, state and disk."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from vmsnap_lab.storage import DiskStore, Door

Resolve = Callable[[], Door]
"""Finds the disk behind a door whenever a client comes."""


class DoorKeeper:
    """Opens and closes the doors of VMs, each in a folder of its own below `root`."""

    def __init__(self, store: DiskStore, root: Path) -> None:
        self._store = store
        self.root = root
        self._open: dict[str, set[Path]] = {}  # by the VM's id

    def sync(self, vm: str, doors: Mapping[str, Resolve]) -> None:
        """Open and close doors so that a VM has just these, by path below the VM's folder."""
        by_path = {self.root / vm / name: resolve for name, resolve in doors.items()}
        present = self._open.setdefault(vm, set())
        for path in present - by_path.keys():
            self._close(path)
        for path in by_path.keys() - present:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store.open_door(path, by_path[path])
        self._open[vm] = set(by_path)

    def close(self, vm: str) -> None:
        """Close all doors of a VM that has left the inventory."""
        for path in self._open.pop(vm, set()):
            self._close(path)
        with contextlib.suppress(OSError):  # never had a disk
            (self.root / vm).rmdir()

    def _close(self, path: Path) -> None:
        self._store.close_door(path)
        with contextlib.suppress(OSError):  # other disks are still there
            path.parent.rmdir()
