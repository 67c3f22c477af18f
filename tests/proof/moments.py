# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a VM held at the moment a job took its snapshot: what a restore must bring back.

The bytes and the configuration are those of that very moment. The tree is read some calls later, so
it may also be the one after what a user did meanwhile; what hangs below the job's snapshot is later
than the moment in either case. Nothing is asked of the code under test: the lab tells when it
freezes the disks, and what is in its store then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from tests.proof import reference
from tests.proof.store import Store
from vmsnap_lab.vcenter.snapshots import create
from vmsnap_lab.vcenter.vm.snapshot_tree import Snapshot


class Moments:
    """The moments of one VM's jobs. Jobs are told apart by their unique names.

    left: the ids of all snapshots that are none of users'. dead: of those, the ones that jobs left
    which died.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.left: set[str] = set()
        self.dead: set[str] = set()
        self._of_jobs: dict[str, tuple[str, reference.Machine]] = {}  # snapshot's name: id, moment
        self._later: dict[str, list[reference.Machine]] = {}

    @contextmanager
    def watched(self, moref: str) -> Iterator[None]:
        """Note every snapshot that jobs take of this VM meanwhile."""
        real = create.create

        def noting(vm: Any, name: str, *how: Any) -> Snapshot:
            with vm.vcenter.lock:
                if vm.moid != moref or not name.startswith("vmsnap backup "):
                    return real(vm, name, *how)
                moment = self._store.tree(moref, self.is_left)
                taken = real(vm, name, *how)
                self.left.add(taken.moid)
                self._of_jobs[name] = (taken.moid, moment)
                self._later[name] = []
                return taken

        create.create = noting  # type: ignore[assignment]
        try:
            yield
        finally:
            create.create = real

    def is_left(self, snapshot: Snapshot) -> bool:
        """Whether this is a job's snapshot, not a user's."""
        return snapshot.moid in self.left

    def users_acted(self, moref: str) -> None:
        """Note the tree as it is now, for every job whose snapshot is there."""
        for name, (key, moment) in self._of_jobs.items():
            later = self._without_what_is_below(moref, key, moment)
            if later is not None:
                self._later[name].append(later)

    def _without_what_is_below(
        self, moref: str, key: str, moment: reference.Machine
    ) -> Optional[reference.Machine]:
        tree = self._store.snapshots(moref)
        ours = next((snapshot for snapshot in tree if snapshot.moid == key), None)
        if ours is None:
            return None
        below = {snapshot.moid for snapshot in ours.branch()}
        machine = self._store.tree(moref, lambda each: self.is_left(each) or each.moid in below)
        machine.hardware, machine.nvram = moment.hardware, moment.nvram
        parent = ours.parent
        while parent is not None and self.is_left(parent):
            parent = parent.parent
        machine.current = None if parent is None else parent.moid
        return machine

    def of(self, job: str) -> list[reference.Machine]:
        """What the job of that unique name may have saved: its moment, and the trees after it."""
        (name,) = (name for name in self._of_jobs if name.endswith(job))
        return [self._of_jobs[name][1], *self._later[name]]

    def of_last(self) -> Optional[reference.Machine]:
        return list(self._of_jobs.values())[-1][1] if self._of_jobs else None
