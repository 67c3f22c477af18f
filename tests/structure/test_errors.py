# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Every message has an id, and docs/troubleshooting.md explains each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.structure import imports, messages

DOCUMENT = imports.REPOSITORY / "docs" / "troubleshooting.md"
# They never reach an admin: whoever calls what raises them catches them.
INTERNAL = {"ClosedError", "CoverageError", "MismatchError", "NotPinnedError", "PayloadError"}


@pytest.fixture(scope="module")
def found() -> messages.Messages:
    return messages.collect(imports.PRODUCT)


def _index_and_body() -> tuple[list[str], list[str]]:
    """The ids of the table at the top, and those of the tables that explain them."""
    _, rest = DOCUMENT.read_text(encoding="utf-8").split("\n## Index\n")
    index, body = rest.split("\n## ", 1)
    row = re.compile(r"^\| `([^`]+)` \|", re.M)
    return row.findall(index), row.findall(body)


def test_every_message_has_an_id(found: messages.Messages) -> None:
    assert found.problems == []


def test_ids_are_words_with_hyphens(found: messages.Messages) -> None:
    assert [id for id in found.ids if not messages.KEBAB.fullmatch(id)] == []


def test_no_two_classes_share_an_id(found: messages.Messages) -> None:
    assert list(messages.shared(found)) == []


def test_every_exception_is_called_error(found: messages.Messages) -> None:
    names = [name for name in found.classes if not name.endswith("Error")]
    assert names == ["Canceled"]  # no error: the admin wants it


def test_all_that_an_admin_can_meet_has_one_root(found: messages.Messages) -> None:
    ours = {known.name for known in found.ours()}
    assert set(found.classes) - ours == INTERNAL


def test_the_document_explains_every_id(found: messages.Messages) -> None:
    _, body = _index_and_body()
    assert sorted(body) == sorted(found.ids)


def test_the_index_is_complete_and_sorted() -> None:
    index, body = _index_and_body()
    assert index == sorted(body)


def test_every_explanation_has_all_its_parts() -> None:
    """When it comes, what is left, what to do."""
    rows = re.findall(r"^\| `[^`]+` \|.*\|$", DOCUMENT.read_text(), flags=re.M)
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    assert {len(row) for row in cells} == {2, 4}
    assert all(map(all, cells))


SEEDED = {
    "no id": (
        "class XError(VmsnapError): pass\nraise XError('x')",
        "XError is made without an id",
    ),
    "no id of a bare class": (
        "class XError(VmsnapError): pass\nraise XError",
        "XError is raised without an id",
    ),
    "no id of one that is made before": (
        "class XError(VmsnapError): pass\nfailure = errors.XError('x')",
        "XError is made without an id",
    ),
    "no id of a warning": ("self._log.warn(f'x {1}')", "a message without an id"),
    "no id of a warning handed down": ("self._warn(text)", "a message without an id"),
    "no id of a table's row": ("Notice(text, text)", "a message without an id"),
}


@pytest.mark.parametrize(("source", "problem"), SEEDED.values(), ids=SEEDED.keys())
def test_a_message_without_an_id_is_found(tmp_path: Path, source: str, problem: str) -> None:
    found = _of(tmp_path, source)
    assert [text.partition(": ")[2] for text in found.problems] == [problem]


def test_ids_are_found_everywhere(tmp_path: Path) -> None:
    found = _of(
        tmp_path,
        "class AError(errors.VmsnapError):\n    id = 'a'\n"
        "class BError(AError): pass\n"
        "raise BError('x')\n"
        "raise AError('x', id='b')\n"
        "log.warn('c', 'x')\n"
        "self._warn('d', 'x')\n"
        "warn('e', 'x')\n"
        "Meaning('f', 'x')\n"
        "Kind(id='g')\n"
        "self._log.fatal(error.id, 'x')\n"
        "self._log.warn(*notice)\n"
        "log.warn('Not one', 'x')\n",
    )
    assert found.problems == []
    assert found.ids == {*"abcdefg", "Not one"}
    assert not messages.KEBAB.fullmatch("Not one")
    assert found.default("BError") == "a"


def test_ids_that_classes_share_are_found(tmp_path: Path) -> None:
    found = _of(
        tmp_path,
        "class AError(VmsnapError):\n    id = 'a'\nclass BError(VmsnapError): pass\n"
        "raise BError('x', id='a')",
    )
    assert list(messages.shared(found)) == ["a is the id of AError and of BError"]


def _of(folder: Path, source: str) -> messages.Messages:
    (folder / "package").mkdir()
    root = "class VmsnapError(Exception):\n    id = ''\n"
    (folder / "package" / "module.py").write_text(root + source)
    return messages.collect(folder / "package")
