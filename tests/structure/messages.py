# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The ids of messages, read from the sources: nothing of them is run."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ROOT = "VmsnapError"
# Their first argument is an id.
_TABLES = ("Notice", "Meaning", "Explanation")
_LEVELS = ("warn", "error", "fatal")
_HANDED_DOWN = ("warn", "_warn")
_WITH_AN_EXCEPTION_CALLED_ERROR = ("struct", "zlib")
# They are no exceptions, but take the id of one.
_CARRIERS = ("Answer", "_error", "_refuse", "failure")
# Names of objects that have the id of a message; `name.id` passes it on.
_PASSED_ON = (
    *("answer", "cause", "error", "failure", "final", "kind", "known", "meaning", "reason"),
    *("translated", "translation"),
)


@dataclass
class ErrorClass:
    """An exception class; `id` is that of its own body."""

    name: str
    place: str
    bases: tuple[str, ...]
    id: Optional[str] = None
    strange: bool = False  # its body has an id, but none that can be read


@dataclass
class Messages:
    """What was found. `problems` are sentences that begin with a place.

    `computed`: "file: expression" of ids that are neither a word nor passed on from a message.
    """

    classes: dict[str, ErrorClass] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    computed: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        """All ids."""
        return set(self.uses)

    def ours(self) -> list[ErrorClass]:
        """The classes an admin can meet."""
        return [known for known in self.classes.values() if self._descends(known.name, ROOT)]

    def default(self, name: str) -> Optional[str]:
        """The id of a class's objects if none is given."""
        known = self.classes.get(name)
        if known is None:
            return None
        return known.id or next(filter(None, map(self.default, known.bases)), None)

    def use(self, id: str, by: str) -> None:
        """Note that messages of `by`, a class or the job log, have that id."""
        self.uses.setdefault(id, set()).add(by)

    def _descends(self, name: str, root: str) -> bool:
        known = self.classes.get(name)
        bases = known.bases if known else ()
        return name == root or any(self._descends(base, root) for base in bases)


def collect(package: Path) -> Messages:
    """Read all modules of a package."""
    trees = dict(_trees(package))
    found = Messages()
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                _take_class(found, node, f"{file}:{node.lineno}")
    _keep_exceptions(found)
    ours = {known.name for known in found.ours()}
    for known in found.ours():
        if known.id:
            found.use(known.id, known.name)
        elif known.strange and known.name != ROOT:
            found.problems.append(f"{known.place}: {known.name} has an id that is no word")
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                _take_call(found, node, ours, f"{file}:{node.lineno}")
            elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Attribute)):
                name = _name(node.exc)
                if name in ours and not found.default(name):
                    found.problems.append(f"{file}:{node.lineno}: {name} is raised without an id")
    return found


def raised(package: Path) -> Iterator[tuple[str, str]]:
    """Pairs (file, name) of the exceptions that are raised by their names."""
    for file, tree in _trees(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and node.exc is not None:
                called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                yield file, _name(called)


def is_builtin(name: str) -> bool:
    """Whether it is an exception of Python's own."""
    kind = getattr(builtins, name, None)
    return isinstance(kind, type) and issubclass(kind, BaseException)


def past_the_log(package: Path, log: str) -> Iterator[str]:
    """Places that use bareosfd.JobMessage other than the job log, a file, does.

    The job log gives every message its prefix, and an id unless it is for information.
    """
    for file, tree in _trees(package):
        calls = {
            id(node.func): node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _name(node.func) == "JobMessage"
        }
        for node in ast.walk(tree):
            if "JobMessage" in (_name(node), _text(node)):
                call = calls.get(id(node))
                if file != log or call is None or not _is_labelled(call):
                    yield f"{file}:{getattr(node, 'lineno', 0)}"


def _is_labelled(call: ast.Call) -> bool:
    level, line = call.args
    wanted = 1 if _name(level) == "M_INFO" else 2
    return isinstance(line, ast.Call) and _name(line.func) == "_line" and len(line.args) >= wanted


def unlabelled_output(package: Path) -> Iterator[str]:
    """ "file: expression" of texts for stderr in which no error's message is."""
    for file, tree in _trees(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and any(k.arg in ("err", "file") for k in node.keywords):
                text = node.args[0] if node.args else node
                called = {_name(n.func) for n in ast.walk(text) if isinstance(n, ast.Call)}
                if not called & {"message", "labelled", "explained"}:
                    yield f"{file}: {ast.unparse(text)}"


def shared(found: Messages) -> Iterator[str]:
    """Ids that messages of two classes have."""
    names = {known.name for known in found.ours()}
    for id, users in sorted(found.uses.items()):
        classes = sorted(users & names)
        if len(classes) > 1:
            yield f"{id} is the id of {' and of '.join(classes)}"


def _trees(package: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        yield str(file.relative_to(package)), tree


def _take_class(found: Messages, node: ast.ClassDef, place: str) -> None:
    known = ErrorClass(node.name, place, tuple(filter(None, map(_name, node.bases))))
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and "id" in map(_name, targets):
            known.id = _text(statement.value) or None
            if known.id is None and statement.value is not None:
                known.strange = True
    found.classes[node.name] = known


def _keep_exceptions(found: Messages) -> None:
    def is_exception(name: str) -> bool:
        known = found.classes.get(name)
        if known is not None:
            return any(map(is_exception, known.bases))
        return name in ("Exception", "BaseException") or name.endswith("Error")

    found.classes = {name: c for name, c in found.classes.items() if is_exception(name)}


def _take_call(found: Messages, call: ast.Call, ours: set[str], place: str) -> None:
    name = _name(call.func)
    keyword = next((k.value for k in call.keywords if k.arg == "id"), None)
    if keyword is not None and _text(keyword) is None and name not in (*ours, *_CARRIERS):
        keyword = None  # another kind of id, or a constructor's own argument
    if keyword is not None:
        _take_id(found, keyword, name if name in ours else "another", place)
    elif name in ours and not found.default(name):
        found.problems.append(f"{place}: {name} is made without an id")
    if name in _TABLES or _is_log(call.func):
        if not call.args and keyword is None:
            found.problems.append(f"{place}: a message without an id")
        elif call.args and not isinstance(call.args[0], ast.Starred):
            _take_id(found, call.args[0], "another", place, "a message without an id")


def _take_id(
    found: Messages, value: ast.expr, by: str, place: str, problem: Optional[str] = None
) -> None:
    """Note an id; what is no id at all is the `problem`, or has to be known as computed."""
    if isinstance(value, ast.IfExp):
        _take_id(found, value.body, by, place, problem)
        _take_id(found, value.orelse, by, place, problem)
    elif (text := _text(value)) is not None:
        found.use(text, by)
        if not text:
            found.problems.append(f"{place}: an empty id")
    elif not _is_passed_on(value):
        if problem:
            found.problems.append(f"{place}: {problem}")
        else:
            found.computed.add(f"{place.rpartition(':')[0]}: {ast.unparse(value)}")


def _is_passed_on(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Attribute) and value.attr == "id" and _name(value.value) in _PASSED_ON
    )


def _is_log(called: ast.expr) -> bool:
    """Whether it writes to the job log, by whatever name that goes."""
    if isinstance(called, ast.Attribute) and called.attr in _LEVELS:
        return _name(called.value) not in _WITH_AN_EXCEPTION_CALLED_ERROR
    return _name(called) in _HANDED_DOWN


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: Optional[ast.AST]) -> Optional[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
