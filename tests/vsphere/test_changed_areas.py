# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Pages of changed areas, as a server may send them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import cbt

Info = vim.VirtualMachine.DiskChangeInfo


class Server:
    """Answers with the pages given: (start, length, areas)."""

    def __init__(self, *pages: tuple[int, int, list[tuple[int, int]]]) -> None:
        self._pages = list(pages)

    def QueryChangedDiskAreas(self, **asked: Any) -> Any:
        start, length, areas = self._pages.pop(0)
        found = [Info.DiskChangeExtent(start=s, length=n) for s, n in areas]
        return Info(startOffset=start, length=length, changedArea=found)


def ask(*pages: tuple[int, int, list[tuple[int, int]]], capacity: int = 100) -> list[Any]:
    return list(cbt.changed_areas(Server(*pages), None, 2000, capacity, "52 aa/1"))


def test_pages_are_joined_until_the_disk_is_covered() -> None:
    found = ask((0, 30, [(0, 10), (20, 5)]), (30, 40, []), (70, 30, [(90, 10)]))
    assert found == [(0, 10), (20, 5), (90, 10)]


def test_areas_end_with_the_disk_only() -> None:
    assert ask((0, 60, [(50, 30)]), (60, 60, [(90, 60)])) == [(50, 30), (90, 10)]


def test_an_area_behind_its_page_counts() -> None:
    assert ask((0, 60, [(10, 5), (70, 10)]), (60, 40, [])) == [(10, 5), (70, 10)]


def test_an_area_that_the_next_page_names_again_counts_once() -> None:
    assert ask((0, 60, [(50, 30)]), (60, 40, [(60, 20), (90, 5)])) == [(50, 30), (90, 5)]
    assert ask((0, 60, [(50, 20)]), (60, 40, [(60, 30)])) == [(50, 40)]


@pytest.mark.parametrize(
    "page",
    [
        (0, 0, []),
        (10, 90, []),
        (0, -1, []),
        (0, 100, [(100, 10)]),
        (0, 100, [(200, 1)]),
        (0, 100, [(9, -1)]),
    ],
    ids=["empty", "elsewhere", "negative", "behind the disk", "far behind", "negative area"],
)
def test_an_answer_to_another_question(page: Any) -> None:
    """Neither an endless loop nor a hole comes of it."""
    with pytest.raises(cbt.CbtRefusedError, match="QueryChangedDiskAreas"):
        ask(page)


def test_a_page_that_repeats_an_area() -> None:
    with pytest.raises(cbt.CbtRefusedError, match="named an area of 10 bytes at 10"):
        ask((0, 50, [(10, 10)]), (50, 50, [(10, 10)]))


def test_a_canceled_query() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(errors.Canceled):
        cbt.changed_areas(Server(), None, 2000, 100, "*", cancel)


def test_extents_count() -> None:
    extents = cbt.Extents()
    extents.append(0, 60)
    assert (len(extents), extents.total, extents.covers(100)) == (1, 60, False)
    extents.append(60, 40)
    assert extents.covers(100)
