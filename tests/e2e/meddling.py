# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Doing something before the k-th vCenter call of a job, and what a VM held at its backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional

from vmsnap_lab.demo import fingerprints

from .machine import Machine
from .site import Site

PREFIX = "vmsnap backup "
Disks = tuple[tuple[str, int, str], ...]
Edges = frozenset[tuple[str, Optional[str]]]


class Contents:
    """What every snapshot of a VM holds, by name, read from the lab's store and from nothing else.

    `state`, `tree`: as they were when the last backup snapshot was about to be taken.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.known: dict[str, Disks] = {}
        self.state: Optional[Disks] = None
        self.tree: Edges = frozenset()

    def look(self) -> list[fingerprints.NodeFingerprint]:
        """Note what the snapshots hold that exist now."""
        faces = fingerprints.take(self._machine.vm, self._machine.guest)
        self.known.update({face.name: face.disks for face in faces if face.path})
        return faces

    def backup_begins(self) -> None:
        """The backup snapshot is about to be taken."""
        faces = self.look()
        self.state, self.tree = faces[-1].disks, edges(faces)


def edges(faces: list[fingerprints.NodeFingerprint]) -> Edges:
    """Every user snapshot with its parent, as if there were no backup snapshots."""
    names = {face.path: face.name for face in faces}

    def parent(path: tuple[int, ...]) -> Optional[str]:
        above = path[:-1]
        while above and names[above].startswith(PREFIX):
            above = above[:-1]
        return names[above] if above else None

    return frozenset(
        (face.name, parent(face.path))
        for face in faces
        if face.path and not face.name.startswith(PREFIX)
    )


@contextmanager
def before_calls(site: Site, act: Callable[[int, str], None]) -> Iterator[None]:
    """Call `act` before each call of jobs with its number (from 0) and method; not for its own."""
    mine = {session.key for session in site.lab.vcenter.sessions.sessionList}
    count = 0

    def hook(method: str, session: Any) -> None:
        nonlocal count
        if session is None or session.key in mine:
            return
        number, count = count, count + 1
        act(number, method)

    site.lab.habits.before_call = hook
    try:
        yield
    finally:
        site.lab.habits.before_call = None
