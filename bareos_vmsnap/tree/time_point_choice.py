# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Choosing the time point to restore from the manifests of the selected jobs.

The newest is found by ancestry first: no time point is the newest if another one was built upon it.
If that leaves several, Bareos' job ids decide. The clocks of file daemons never do, unless two job
ids are equal: a clock may be wrong, be mended, and differ from that of the next proxy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.errors import Notice, VmsnapError
from bareos_vmsnap.tree import model, names


class ChoiceError(VmsnapError):
    """The selection does not identify one time point; the message lists what it holds."""


@dataclass(frozen=True)
class Choice:
    """The block tree to restore from, at its time point.

    `reasons` say why it is the newest if ancestry alone does not; `warnings` are contradictions.
    """

    tree: model.BlockTree
    reasons: tuple[str, ...] = ()
    warnings: tuple[Notice, ...] = ()

    @property
    def point(self) -> model.TimePoint:
        """The time point."""
        return self.tree.point


def timepoint(trees: Sequence[model.BlockTree], requested: Optional[str]) -> Choice:
    """The time point `requested`, or the newest. Raises ChoiceError."""
    vms = sorted({f"{tree.vm.name} ({tree.vm.instance_uuid})" for tree in trees})
    if len({tree.vm.instance_uuid for tree in trees}) > 1:
        raise ChoiceError(
            f"the selection holds several VMs: {', '.join(vms)}; restore one at a time",
            id="selection-several-vms",
        )
    if requested is None:
        return newest(trees)
    found = [tree for tree in trees if requested == tree.point.id]
    if not found:
        raise unknown(requested, {tree.point.id for tree in trees})
    return Choice(found[-1])


def unknown(requested: str, points: Iterable[str]) -> ChoiceError:
    """The error if the selected jobs hold these time points and not the requested one."""
    return ChoiceError(
        f"there is no time point {requested}; the selected jobs hold {', '.join(sorted(points))}",
        id="time-point-unknown",
    )


def newest(trees: Sequence[model.BlockTree]) -> Choice:
    """The newest time point of one VM. Raises ChoiceError if they contradict each other."""
    known = {tree.point.id: tree for tree in trees}
    superseded = {name for tree in known.values() for name in built_upon(tree)}
    last = [tree for name, tree in known.items() if name not in superseded]
    if not last:
        raise ChoiceError(
            f"each of the time points {', '.join(sorted(known))} is built upon another of them",
            id="time-points-contradict",
        )
    tree = max(last, key=lambda tree: (tree.point.jobid, tree.point.taken))
    reasons = []
    if len(last) > 1:
        lines = ", ".join(sorted(each.point.id for each in last))
        reasons.append(
            f"Of the time points {lines} none was built upon another: {tree.point.id}, which has "
            "the highest job id, counts as the newest"
        )
    others = [(other.point.taken, name) for name, other in known.items()]
    return Choice(tree, tuple(reasons), _contradiction(tree, others))


def against_clocks(choice: Choice, points: Iterable[str]) -> tuple[Notice, ...]:
    """The warning if one of these older time points, whose names alone are known, seems newer."""
    known = [(taken, point) for point in points if (taken := names.taken(point)) is not None]
    return _contradiction(choice.tree, known)


def _contradiction(tree: model.BlockTree, others: Iterable[tuple[str, str]]) -> tuple[Notice, ...]:
    """`others`: when they were taken, and their ids."""
    later = [other for other in others if other[0] > tree.point.taken]
    if not later:
        return ()
    taken, point = max(later)
    return (
        Notice(
            "clock-contradicts",
            f"VM {tree.vm.name}: time point {tree.point.id} is newer than {point}, but by the "
            f"clock of the file daemon it was taken earlier ({tree.point.taken}, {taken}). "
            "A clock is or was wrong; the order of the jobs counts",
        ),
    )


def outline(tree: model.BlockTree) -> model.BlockTree:
    """What choosing needs of a block tree, without its nodes and segments."""
    point = dataclasses.replace(tree.point, ancestors=tuple(sorted(built_upon(tree))))
    return model.BlockTree(tree.vm, tree.directory, timepoint=point)


def built_upon(tree: model.BlockTree) -> set[str]:
    """The ids of the time points that this one was built upon, directly or through others."""
    found = {segment.timepoint for segment in tree.segments.values()}
    found.update(tree.point.ancestors)
    if tree.point.previous is not None:
        found.add(tree.point.previous)
    return found - {tree.point.id}


def is_older(name: str, tree: model.BlockTree) -> bool:
    """Whether the time point called `name`, of which only the name is known, is older than `tree`.

    False if it may be newer.
    """
    if name in built_upon(tree):
        return True
    jobid = names.jobid(name)
    return jobid is not None and jobid < tree.point.jobid
