# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The ids of messages, read from the sources: nothing of them is run."""

from __future__ import annotations

import ast
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
_LOGS = ("log", "_log")
_HANDED_DOWN = ("warn", "_warn")


@dataclass
class ErrorClass:
    """An exception class; `id` is that of its own body."""

    name: str
    place: str
    bases: tuple[str, ...]
    id: Optional[str] = None


@dataclass
class Messages:
    """What was found. `problems` are sentences that begin with a place."""

    classes: dict[str, ErrorClass] = field(default_factory=dict)
    uses: dict[str, set[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

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
    trees = {
        str(file.relative_to(package.parent)): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(package.rglob("*.py"))
    }
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
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                _take_call(found, node, ours, f"{file}:{node.lineno}")
            elif isinstance(node, ast.Raise) and isinstance(node.exc, (ast.Name, ast.Attribute)):
                name = _name(node.exc)
                if name in ours and not found.default(name):
                    found.problems.append(f"{file}:{node.lineno}: {name} is raised without an id")
    return found


def shared(found: Messages) -> Iterator[str]:
    """Ids that messages of two classes have."""
    names = {known.name for known in found.ours()}
    for id, users in sorted(found.uses.items()):
        classes = sorted(users & names)
        if len(classes) > 1:
            yield f"{id} is the id of {' and of '.join(classes)}"


def _take_class(found: Messages, node: ast.ClassDef, place: str) -> None:
    known = ErrorClass(node.name, place, tuple(filter(None, map(_name, node.bases))))
    for statement in node.body:
        if isinstance(statement, ast.Assign) and [_name(t) for t in statement.targets] == ["id"]:
            known.id = _text(statement.value) or None
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
    given = _text(keyword)
    if given:
        found.use(given, name if name in ours else "another")
    if name in ours and keyword is None and not found.default(name):
        found.problems.append(f"{place}: {name} is made without an id")
    if name in _TABLES or _is_log(call.func):
        _take_first(found, call, place)


def _take_first(found: Messages, call: ast.Call, place: str) -> None:
    first = call.args[0] if call.args else None
    given = _text(first)
    if given is not None:
        found.use(given, "another")
    elif not isinstance(first, (ast.Starred, ast.Attribute)):
        found.problems.append(f"{place}: a message without an id")


def _is_log(called: ast.expr) -> bool:
    if isinstance(called, ast.Attribute) and called.attr in _LEVELS:
        return _name(called.value) in _LOGS
    return _name(called) in _HANDED_DOWN


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: Optional[ast.expr]) -> Optional[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
