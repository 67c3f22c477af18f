# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifests of one VM that a restore's selection holds; only those that are needed are read.

Each holds the whole chain before it, so that reading all would take time and memory that grow with
the square of the chain's length. What one that was read was built upon cannot be the newest.
Damage matters only if a time point could be newer than the one to be restored and is whole neither
as restore objects nor as a file.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import BinaryIO, Callable, NamedTuple, Optional

from bareos_vmsnap.tree import manifest, model, names, restore_objects, time_point_choice

_Read = Callable[[], model.BlockTree]


class UnreadableObject(NamedTuple):
    """A restore object that does not say which manifest it belongs to.

    `line` is the Plugin line that saved it, `jobid` the Bareos job.
    """

    line: str
    jobid: int
    error: manifest.ManifestError


class Damage(NamedTuple):
    """A manifest that cannot be used, and why: `name` says which, `point` is its time point.

    Of a restore object that is unreadable only the job is known.
    """

    name: str
    point: Optional[str]
    jobid: Optional[int]
    error: manifest.ManifestError

    def is_older(self, tree: model.BlockTree) -> bool:
        """Whether it is certainly that of a time point older than the tree's."""
        if self.point is not None:
            return time_point_choice.is_older(self.point, tree)
        return self.jobid is not None and self.jobid < tree.point.jobid


class SelectedManifests:
    """Use: take_objects() once all restore objects have come, take_file() for each file; then
    newest() or requested(), again if more files have come.
    """

    def __init__(self, vm: str, pieces: restore_objects.Pieces) -> None:
        """`vm`: as names.vm_of() returns it; `pieces`: this VM's restore objects."""
        self._vm = vm
        self._pieces = pieces
        self._names: set[str] = set()
        self._unread: dict[str, list[_Read]] = {}
        # By time point, of those that were read.
        self._outlines: dict[str, model.BlockTree] = {}
        self._again: dict[str, _Read] = {}
        self._superseded: set[str] = set()
        self._kept: Optional[model.BlockTree] = None
        self._damaged: list[Damage] = []

    @property
    def points(self) -> list[str]:
        """The time points that whole manifests belong to, by the names of those not read."""
        damaged = {each.point for each in self.damaged}
        named = {point for name in self._names if (point := names.manifest_timepoint(name))}
        return sorted((named | set(self._outlines)) - damaged)

    @property
    def damaged(self) -> list[Damage]:
        """Those that were read of which nothing whole has come either."""
        jobs = {tree.point.jobid for tree in self._outlines.values()}
        return [
            each
            for each in self._damaged
            if (each.point not in self._outlines if each.jobid is None else each.jobid not in jobs)
        ]

    def take_objects(self, unreadable: Sequence[UnreadableObject]) -> None:
        """Take the restore objects; `unreadable` are others that may belong to this VM."""
        for each in unreadable:
            name = f"A restore object of job {each.jobid}"
            self._damaged.append(Damage(name, None, each.jobid, each.error))
        for name in self._pieces.names():
            self._take(name, functools.partial(self._pieces.manifest, name))

    def take_file(self, name: str, opened: Callable[[], BinaryIO]) -> None:
        """Take a manifest file, which `opened` opens if it must be read."""

        def read() -> model.BlockTree:
            with opened() as source:
                return manifest.read(source)

        self._take(name, read)

    def knows(self, point: str) -> bool:
        """Whether the time point with this id was read, or another one that was built upon it."""
        return point in self._outlines or point in self._superseded

    def newest(self) -> Optional[time_point_choice.Choice]:
        """The newest time point of those whose manifests are whole, None if there is none.

        Job ids are only the order of reading here: what was read, and what that was built upon, is
        all that ancestry needs. Raises time_point_choice.ChoiceError, OSError.
        """
        for name in sorted(self._unread, key=_latest_first):
            if names.manifest_timepoint(name) not in self._superseded:
                self._read(name)
        self._drop_superseded()
        if not self._outlines:
            return None
        choice = time_point_choice.timepoint(list(self._outlines.values()), None)
        if not choice.warnings:
            unread = [point for point in self.points if point not in self._outlines]
            choice = dataclasses.replace(
                choice, warnings=time_point_choice.against_clocks(choice, unread)
            )
        return dataclasses.replace(choice, tree=self._tree(choice.point.id))

    def requested(self, point: str) -> Optional[time_point_choice.Choice]:
        """The time point with this id, None if there is no whole manifest of it.

        Raises OSError.
        """
        for name in list(self._unread):
            if names.manifest_timepoint(name) == point:
                self._read(name)
        return time_point_choice.Choice(self._tree(point)) if point in self._outlines else None

    def doubts(self, choice: time_point_choice.Choice) -> list[Damage]:
        """Those damaged ones that may be newer than a choice of the newest."""
        superseded = {names.jobid(point) for point in self._superseded} - {None}
        return [
            each
            for each in self.damaged
            if not each.is_older(choice.tree) and each.jobid not in superseded
        ]

    def _take(self, name: str, read: _Read) -> None:
        self._names.add(name)
        self._unread.setdefault(name, []).append(read)

    def _read(self, name: str) -> None:
        """Read the manifest of that name, from its file only if its restore objects are no good."""
        point = names.manifest_timepoint(name)
        for read in self._unread.pop(name):
            if point is not None and point in self._outlines:
                return
            try:
                tree = read()
                if not names.is_directory_of(f"{names.ROOT}/.{self._vm}", tree.vm.instance_uuid):
                    raise manifest.ManifestError(f"{name} is the manifest of another VM")
                self._keep(tree, read)
                if name != names.manifest(tree.directory, tree.point.id):
                    raise manifest.ManifestError(f"{name} is the manifest of another time point")
            except manifest.ManifestError as error:
                self._damaged.append(Damage(name, point, None, error))

    def _keep(self, tree: model.BlockTree, read: _Read) -> None:
        """Of all but the newest so far only the outline is kept."""
        self._outlines[tree.point.id] = time_point_choice.outline(tree)
        self._again[tree.point.id] = read
        self._superseded |= time_point_choice.built_upon(tree)
        kept = self._kept.point if self._kept is not None else None
        if kept is None or tree.point.jobid > kept.jobid or kept.id in self._superseded:
            self._kept = tree

    def _tree(self, point: str) -> model.BlockTree:
        if self._kept is None or self._kept.point.id != point:
            self._kept = self._again[point]()
        return self._kept

    def _drop_superseded(self) -> None:
        for name in list(self._unread):
            if names.manifest_timepoint(name) in self._superseded:
                del self._unread[name]
                self._pieces.drop(name)


def _latest_first(name: str) -> float:
    point = names.manifest_timepoint(name)
    jobid = names.jobid(point) if point is not None else None
    return -math.inf if jobid is None else -jobid
