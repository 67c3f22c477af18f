# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which manifests of a selection are read, and which of them is the newest."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Callable, Optional

import pytest

from bareos_vmsnap.fd.selected_manifests import SelectedManifests
from bareos_vmsnap.tree import (
    lineage,
    manifest,
    method_ladder,
    model,
    names,
    plan_backup,
    restore_objects,
)
from tests.tree import trees

VM = names.vm_of(names.vm_directory(trees.VM.name, trees.VM.instance_uuid) + "/x")
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class CountingPieces(restore_objects.Pieces):
    """Remembers which manifests were read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self.read: list[str] = []
        for piece in pieces:
            self.add(piece)

    def manifest(self, name: str) -> model.BlockTree:
        self.read.append(name)
        return super().manifest(name)


class Files:
    """Manifest files that wait in a spool; remembers which were opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def of(self, tree: model.BlockTree) -> Callable[[], BinaryIO]:
        def open_it() -> BinaryIO:
            self.opened.append(tree.point.id)
            return io.BytesIO(manifest.to_json(tree))

        return open_it


def name_of(tree: model.BlockTree) -> str:
    return names.manifest(tree.directory, tree.point.id)


def job(number: int, hours: Optional[int] = None) -> plan_backup.Job:
    """A job so many hours (or as its number says) after the beginning of the year."""
    taken = BEGIN + datetime.timedelta(hours=number if hours is None else hours)
    level = "F" if number == 1 else "I"
    return plan_backup.Job(
        f"job.{number}", number, level, names.timepoint(taken, number), taken.isoformat()
    )


def chain(numbers: Sequence[int], hours: Optional[int] = None) -> list[model.BlockTree]:
    """A Full and the Incrementals after it; `hours`: when the Full was, by its clock."""
    made: list[model.BlockTree] = []
    for at, number in enumerate(numbers):
        observed = trees.on_day(number, "")
        past = None
        if made:
            line, why = lineage.line(made[-1], observed, {}, lineage.History())
            assert line is not None, why
            past = plan_backup.Previous(made[-1], {}, line)
        this = job(number, hours if at == 0 else None)
        made.append(trees.saved(plan_backup.plan(observed, this, method_ladder.Policy(), past)))
    return made


def packed(made: Iterable[model.BlockTree]) -> list[bytes]:
    """The restore objects of these jobs."""
    return [piece for tree in made for piece in restore_objects.to_pieces(tree, name_of(tree))]


def selected(objects: Iterable[bytes]) -> tuple[SelectedManifests, CountingPieces]:
    pieces = CountingPieces(objects)
    found = SelectedManifests(VM, pieces)
    found.take_objects([])
    return found, pieces


def points(made: Iterable[model.BlockTree]) -> list[str]:
    return [tree.point.id for tree in made]


@pytest.fixture(scope="module")
def long() -> list[model.BlockTree]:
    """Every tenth of 600 daily jobs, and the last one."""
    made = chain(range(1, 601))
    assert len(made[-1].nodes) == 600
    return [*made[::10], made[-1]]


@pytest.fixture(scope="module")
def long_packed(long: list[model.BlockTree]) -> list[bytes]:
    return packed(long)


def test_of_a_long_chain_the_newest_alone_is_read(
    long: list[model.BlockTree], long_packed: list[bytes]
) -> None:
    found, pieces = selected(long_packed)
    choice = found.newest()
    assert choice is not None
    assert (choice.tree, choice.reasons, choice.warnings) == (long[-1], (), ())
    assert pieces.read == [name_of(long[-1])]
    assert list(pieces.names()) == [name_of(long[-1])]
    assert found.damaged == []
    assert all(found.knows(point) for point in points(long))


def test_of_many_files_the_newest_alone_is_read(long: list[model.BlockTree]) -> None:
    found, files = SelectedManifests(VM, restore_objects.Pieces()), Files()
    found.take_objects([])
    assert found.newest() is None
    for tree in long:
        found.take_file(name_of(tree), files.of(tree))
    choice = found.newest()
    assert choice is not None
    assert choice.tree == long[-1]
    assert files.opened == [long[-1].point.id]


def test_of_a_long_chain_one_that_is_asked_for(
    long: list[model.BlockTree], long_packed: list[bytes]
) -> None:
    found, pieces = selected(long_packed)
    choice = found.requested(long[7].point.id)
    assert choice is not None
    assert choice.tree == long[7]
    assert pieces.read == [name_of(long[7])]
    assert found.points == sorted(points(long))


def test_one_that_is_asked_for_and_did_not_come_yet() -> None:
    made, files = chain([1, 2]), Files()
    found, pieces = selected(packed(made[:1]))
    assert found.requested(made[1].point.id) is None
    for tree in made:
        found.take_file(name_of(tree), files.of(tree))
    choice = found.requested(made[1].point.id)
    assert choice is not None
    assert choice.tree == made[1]
    assert (pieces.read, files.opened) == ([], [made[1].point.id])


def test_two_chains() -> None:
    """Of the older one, too, only the last is read; the highest job id counts."""
    older, newer = chain([1, 2, 3]), chain([4, 5, 6])
    for order in ([*older, *newer], [*newer, *older]):
        found, pieces = selected(packed(order))
        choice = found.newest()
        assert choice is not None
        assert choice.tree == newer[-1]
        assert "job id" in choice.reasons[0] and older[-1].point.id in choice.reasons[0]
        assert sorted(pieces.read) == [name_of(older[-1]), name_of(newer[-1])]


def test_ancestry_counts_more_than_job_ids() -> None:
    """The Director's catalog was made anew: the Incrementals have lower job ids than the Full."""
    made = chain([1, 2, 3])
    full = job(900, 0)
    made = [renamed(tree, made[0].point.id, full) for tree in made]
    assert [tree.point.jobid for tree in made] == [900, 2, 3]
    found, pieces = selected(packed(made))
    choice = found.newest()
    assert choice is not None
    assert choice.tree == made[-1]
    assert choice.reasons == ()
    assert pieces.read == [name_of(made[0]), name_of(made[2])]


def renamed(tree: model.BlockTree, was: str, job: plan_backup.Job) -> model.BlockTree:
    """The same block tree if this job had saved the time point `was`."""
    document = json.loads(manifest.to_json(tree).decode().replace(was, job.timepoint))
    if tree.point.id == was:
        document["timepoint"]["jobid"] = job.jobid
    kept = {k: v for k, v in document.items() if k not in ("format", "version", "digest")}
    return manifest.from_json(manifest.sealed(kept))


def test_a_clock_that_was_ahead_is_told_by_a_name() -> None:
    made = chain([1, 2], hours=50)
    found, pieces = selected(packed(made))
    choice = found.newest()
    assert choice is not None
    assert choice.tree == made[1]
    (warning,) = choice.warnings
    assert warning.id == "clock-contradicts"
    assert made[0].point.taken in warning.text
    assert pieces.read == [name_of(made[1])]


def broken(pieces: restore_objects.Pieces, tree: model.BlockTree) -> None:
    (piece,) = restore_objects.to_pieces(tree, name_of(tree))
    pieces.drop(name_of(tree))
    pieces.add(piece[:-1] + bytes([piece[-1] ^ 1]))


def test_a_damaged_one_that_is_newest_raises_doubts_until_its_file_comes() -> None:
    made, files = chain([1, 2, 3]), Files()
    pieces = CountingPieces(packed(made))
    broken(pieces, made[2])
    found = SelectedManifests(VM, pieces)
    found.take_objects([])
    choice = found.newest()
    assert choice is not None
    assert choice.tree == made[1]
    assert [each.point for each in found.doubts(choice)] == [made[2].point.id]
    for tree in made:
        found.take_file(name_of(tree), files.of(tree))
    choice = found.newest()
    assert choice is not None
    assert (choice.tree, found.doubts(choice)) == (made[2], [])
    assert files.opened == [made[2].point.id]


def test_a_damaged_one_that_is_older_is_not_looked_at() -> None:
    made = chain([1, 2, 3])
    pieces = CountingPieces(packed(made))
    broken(pieces, made[1])
    found = SelectedManifests(VM, pieces)
    found.take_objects([])
    choice = found.newest()
    assert choice is not None
    assert (choice.tree, found.damaged) == (made[2], [])


def test_one_under_the_name_of_another() -> None:
    """What a damaged first line may do: the content counts, and the name is reported."""
    made = chain([1, 2])
    pieces = CountingPieces(packed(made[:1]))
    other = name_of(made[1]).replace("-j2", "-j3")
    for piece in restore_objects.to_pieces(made[1], other):
        pieces.add(piece)
    found = SelectedManifests(VM, pieces)
    found.take_objects([])
    choice = found.newest()
    assert choice is not None
    assert choice.tree == made[1]
    assert [each.name for each in found.doubts(choice)] == [other]
