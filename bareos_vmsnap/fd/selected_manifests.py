# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The manifests of one VM that a restore's selection holds, whole and damaged ones.

Damage matters only if a time point could be newer than the one to be restored and is whole neither
as restore objects nor as a file.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import BinaryIO, Callable, NamedTuple, Optional

from bareos_vmsnap.tree import manifest, model, names, time_point_choice


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
    """Use: take_objects() once all restore objects have come, take_file() for each file."""

    def __init__(self, vm: str, pieces: manifest.Pieces) -> None:
        """`vm`: as names.vm_of() returns it; `pieces`: this VM's restore objects."""
        self._vm = vm
        self._pieces = pieces
        self._trees: dict[str, model.BlockTree] = {}
        self._damaged: list[Damage] = []

    @property
    def trees(self) -> list[model.BlockTree]:
        """The block trees of the whole ones."""
        return list(self._trees.values())

    @property
    def damaged(self) -> list[Damage]:
        """Those of which nothing whole has come either."""
        whole = {tree.point.jobid for tree in self._trees.values()}
        return [
            each
            for each in self._damaged
            if (each.point not in self._trees if each.jobid is None else each.jobid not in whole)
        ]

    def take_objects(self, unreadable: Sequence[UnreadableObject]) -> None:
        """Assemble the restore objects; `unreadable` are others that may belong to this VM."""
        for each in unreadable:
            name = f"A restore object of job {each.jobid}"
            self._damaged.append(Damage(name, None, each.jobid, each.error))
        for name in self._pieces.names():
            self._take(name, functools.partial(self._pieces.manifest, name))

    def take_file(self, name: str, source: BinaryIO) -> None:
        """Read a manifest file. Raises OSError."""
        self._take(name, lambda: manifest.read(source))

    def knows(self, point: str) -> bool:
        """Whether the manifest of the time point with this id is here and whole."""
        return point in self._trees

    def doubts(self, choice: time_point_choice.Choice) -> list[Damage]:
        """Those damaged ones that may be newer than a choice of the newest."""
        return [each for each in self.damaged if not each.is_older(choice.tree)]

    def _take(self, name: str, read: Callable[[], model.BlockTree]) -> None:
        try:
            tree = read()
            if not names.is_directory_of(f"{names.ROOT}/.{self._vm}", tree.vm.instance_uuid):
                raise manifest.ManifestError(f"{name} is the manifest of another VM")
            self._trees[tree.point.id] = tree
            if name != names.manifest(tree.directory, tree.point.id):
                raise manifest.ManifestError(f"{name} is the manifest of another time point")
        except manifest.ManifestError as error:
            self._damaged.append(Damage(name, names.manifest_timepoint(name), None, error))
