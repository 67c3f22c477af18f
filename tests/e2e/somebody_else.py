# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Somebody else works with a VM while a job does, between two of the job's calls of vCenter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from pyVmomi import vim, vmodl

from vmsnap_lab.storage import StorageError

from . import hardware
from .machine import Machine, find_snapshot
from .site import Site

Act = Callable[[Machine], bool]  # False: it cannot be done now


class SomebodyElse:
    """Does something once, before the `number`-th call (0 is the first) since it became possible.

    What vCenter refuses, because a task runs or a disk is open, is tried again before every
    later call. done: the call it was done before, by its method, None if it was not done.
    """

    def __init__(self, site: Site, vm: str, act: Act, number: int) -> None:
        self._site = site
        self._names = (f"{vm} (incomplete restore)", vm)
        self._act = act
        self._left = number
        self._acting = threading.Lock()
        self.done: Optional[str] = None

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Watch the calls meanwhile."""
        self._site.lab.habits.before_call = self.before
        try:
            yield
        finally:
            self._site.lab.habits.before_call = None

    def before(self, method: str, session: Any) -> None:
        """A call of this method is about to be carried out."""
        if self._acting.acquire(blocking=False):  # not before its own calls
            try:
                self._look(method)
            finally:
                self._acting.release()

    def _look(self, method: str) -> None:
        if self.done is not None:
            return
        machine = self._find()
        if machine is None or not self._possible(machine):
            return
        if self._left > 0:
            self._left -= 1
            return
        tree = machine.guest.vm.tree
        before = tree.all()
        try:
            if self._act(machine):
                self.done = method
        except (vmodl.MethodFault, StorageError):
            if tree.all() != before:  # such as a snapshot deleted whose disk was not merged
                self.done = method

    def _possible(self, machine: Machine) -> bool:
        wanted = getattr(self._act, "needs", None)
        return wanted is None or wanted in [s.name for s in machine.guest.vm.tree.all()]

    def _find(self) -> Optional[Machine]:
        for name in self._names:
            if name in self._site.vm_names():
                return self._site.find(name)
        return None


def _on(name: str, act: Callable[[Machine, vim.vm.Snapshot], None]) -> Act:
    def on_snapshot(machine: Machine) -> bool:
        snapshot = find_snapshot(machine, name)
        if snapshot is None:
            return False
        act(machine, snapshot)
        return True

    on_snapshot.needs = name  # type: ignore[attr-defined]
    return on_snapshot


def revert_to(name: str, times: int = 1) -> Act:
    """After two reverts the leaf has the file name again that it had before."""

    def act(machine: Machine, snapshot: vim.vm.Snapshot) -> None:
        for _ in range(times):
            machine.revert(snapshot)

    return _on(name, act)


def delete(name: str) -> Act:
    return _on(name, lambda machine, snapshot: machine.remove(snapshot))


def rename(name: str) -> Act:
    return _on(name, lambda machine, snapshot: snapshot.RenameSnapshot("renamed", "by a user"))


def delete_all(machine: Machine) -> bool:
    if not machine.guest.vm.tree.all():
        return False
    machine.remove_all()
    return True


def snapshot(machine: Machine) -> bool:
    machine.snapshot("nightly")
    return True


def snapshot_and_delete(machine: Machine) -> bool:
    """Somebody else's backup, quick enough to be seen nowhere."""
    machine.remove(machine.snapshot("nightly"))
    return True


def run(machine: Machine) -> bool:
    """The guest writes."""
    machine.power_on()
    machine.scribble("guest")
    machine.power_off()
    return True


def power_on(machine: Machine) -> bool:
    machine.power_on()
    return True


def reconfigure(**fields: Any) -> Act:
    """Change the VM's own configuration."""

    def act(machine: Machine) -> bool:
        machine.reconfigure(**fields)
        return True

    return act


def add_nic(machine: Machine) -> bool:
    machine.reconfigure(hardware.nic("VM Network"))
    return True


def remove_disk(machine: Machine) -> bool:
    """Take the disk out and put another one in its place."""
    disk = machine.device(2000)
    machine.swap_disk(disk)
    return True
