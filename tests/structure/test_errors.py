# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Every message has an id, and docs/troubleshooting.md explains each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.structure import imports, messages

DOCUMENT = imports.REPOSITORY / "docs" / "troubleshooting.md"
# They never reach an admin: whoever calls what raises them catches them. Each is raised in one file.
INTERNAL = {
    "ClosedError": "mover/child/write_queue.py",
    "CoverageError": "stream/coverage.py",
    "MismatchError": "dataclass_json.py",
    "NotPinnedError": "vsphere/tls.py",
    "PayloadError": "stream/payload.py",
}
# Python's own exceptions have no id, and an admin would read of a fault of the plugin. Who catches
# them, or why that is what they are.
BUILTINS = {
    "tree/manifest.py: LookupError": "translated by _check()",
    "extents.py: ValueError": "a fault: our own lists are sorted; mover/child/read.py explains others",
    "fd/option_values.py: ValueError": "options.parse() gives it the option's name and an id",
    "fd/summary.py: AssertionError": "unreachable",
    "mover/client/launch.py: ProcessLookupError": "the caller of a kill suppresses it",
    "mover/report.py: ValueError": "mover/client/mover.py gives it an id",
    "mover/wire.py: ValueError": "a fault: the plan is our own",
    "stream/builder.py: ValueError": "a fault: the mover builds no frames that large",
    "stream/container_header.py: ValueError": "a fault when writing; reading raises HeaderDamagedError",
    "target/steps.py: TypeError": "unreachable: a Write is done elsewhere",
    "transport/server.py: RuntimeError": "a fault: a mover opens its disks in its main thread",
    "transport/vddk/command.py: AssertionError": "unreachable",
    "tree/model.py: LookupError": "plan_restore.py and manifest.py give it an id",
    "vsphere/cbt.py: AssertionError": "unreachable",
    "vsphere/snapshots.py: AssertionError": "unreachable",
    "vsphere/tls.py: ValueError": "unreachable: fd/options.py has checked the thumbprint",
}
# Ids that are neither written out nor passed on as `error.id`.
COMPUTED = {
    "mover/child/nbd_connection.py: known": "the id of the failure, unless that is the class's",
    "mover/client/mover.py: id": "passed on by _error(), whose callers are checked",
    "target/vm_watch.py: found[0].id": "of a Difference of tree/vm_changes.py, where it is written out",
    "target/vm_watch.py: id": "passed on by _refuse(), whose callers are checked",
}
# What the command prints to stderr other than errors.message().
UNLABELLED = {"check.py: f'error: {problem}'": "a Notice, which has its id in its text"}


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
    assert set(found.classes) - ours == INTERNAL.keys()


def test_internal_exceptions_are_raised_where_somebody_catches_them() -> None:
    raised = {(name, file) for file, name in messages.raised(imports.PRODUCT) if name in INTERNAL}
    assert raised == set(INTERNAL.items())


def test_what_is_raised_has_an_id() -> None:
    raised = {
        f"{file}: {name}"
        for file, name in messages.raised(imports.PRODUCT)
        if messages.is_builtin(name)
    }
    assert raised == BUILTINS.keys()


def test_computed_ids_are_known(found: messages.Messages) -> None:
    assert found.computed == COMPUTED.keys()


def test_only_the_job_log_writes_to_bareos() -> None:
    assert list(messages.past_the_log(imports.PRODUCT, "fd/messages.py")) == []


def test_what_the_command_says_of_failures_has_an_id() -> None:
    assert set(messages.unlabelled_output(imports.PRODUCT / "cli")) == UNLABELLED.keys()


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
    "an empty id": ("class XError(VmsnapError): pass\nraise XError('x', id='')", "an empty id"),
    "an empty id of a class": (
        "class XError(VmsnapError):\n    id = ''",
        "XError has an id that is no word",
    ),
    "an empty id of a warning": ("log.warn('', 'x')", "an empty id"),
    "an id of a warning that is made up": ("log.fatal(f'a-{x}', 'x')", "a message without an id"),
    "no id of a warning in a log by another name": (
        "job_log.error(x.name, 'x')",
        "a message without an id",
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
        "log.warn('Not one', 'x')\n"
        "job_log.warn('h', 'x')\n"
        "class CError(VmsnapError):\n    id: str = 'i'\n"
        "raise AError('x', id='j' if x else 'k')\n"
        "raise zlib.error('no message')\n",
    )
    assert found.problems == []
    assert found.ids == {*"abcdefghijk", "Not one"}
    assert not messages.KEBAB.fullmatch("Not one")
    assert found.default("BError") == "a"


def test_ids_that_are_computed_are_found(tmp_path: Path) -> None:
    found = _of(
        tmp_path,
        "class AError(VmsnapError): pass\n"
        "raise AError('x', id=x)\n"
        "raise AError('x', id=node.id)\n"
        "raise AError('x', id=error.id)\n"
        "Node(id=x + 1)\n"
        "Answer(id=y)\n",
    )
    assert found.problems == []
    assert found.computed == {"module.py: x", "module.py: node.id", "module.py: y"}


def test_what_is_raised_is_found(tmp_path: Path) -> None:
    _of(
        tmp_path,
        "raise RuntimeError('x')\nraise KeyError\nraise dataclass_json.MismatchError('x')\nraise x",
    )
    raised = [name for _, name in messages.raised(tmp_path / "package")]
    assert raised == ["RuntimeError", "KeyError", "MismatchError", "x"]
    assert [name for name in raised if messages.is_builtin(name)] == ["RuntimeError", "KeyError"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("bareosfd.JobMessage(M_FATAL, self._line('x', id))", False),
        ("bareosfd.JobMessage(M_INFO, self._line('x'))", False),
        ("bareosfd.JobMessage(M_FATAL, 'x')", True),
        ("bareosfd.JobMessage(M_FATAL, self._line('x'))", True),
        ("write = bareosfd.JobMessage", True),
        ("getattr(bareosfd, 'JobMessage')(1, 'x')", True),
    ],
)
def test_messages_past_the_job_log_are_found(tmp_path: Path, source: str, found: bool) -> None:
    _of(tmp_path, source)
    package = tmp_path / "package"
    assert bool(list(messages.past_the_log(package, "module.py"))) == found
    assert list(messages.past_the_log(package, "another.py")) != []


def test_output_without_an_id_is_found(tmp_path: Path) -> None:
    _of(
        tmp_path,
        "click.echo('x', err=True)\n"
        "print(y, file=sys.stderr)\n"
        "click.echo(f'{x}: {errors.message(x)}', err=True)\n"
        "click.echo('z')\n",
    )
    found = list(messages.unlabelled_output(tmp_path / "package"))
    assert found == ["module.py: 'x'", "module.py: y"]


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
