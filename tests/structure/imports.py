# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who imports whom, read from the sources: nothing of them is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Optional

REPOSITORY = Path(__file__).parents[2]
PRODUCT = REPOSITORY / "bareos_vmsnap"
LAB = REPOSITORY / "lab" / "vmsnap_lab"

Graph = dict[str, set[str]]
"""Modules by their dotted names, with the names that each imports."""


def graph(package: Path) -> Graph:
    """All modules of a package; imports for annotations alone and inside of functions count too.

    What is imported is named as far as it is a module of the package, else as it stands.
    """
    files = sorted(package.rglob("*.py"))
    known = {_name(package, file) for file in files}
    return {
        _name(package, file): {_module(name, known) for name in _imported(file)} for file in files
    }


def outside(found: Graph, package: str) -> Iterator[tuple[str, str]]:
    """Pairs (module, import) where the import is not of the package."""
    for module, imported in found.items():
        for name in imported:
            if name.split(".")[0] != package:
                yield module, name


def folded(found: Graph, depth: int) -> Graph:
    """The same for folders: names are cut to so many parts, imports within one left out."""
    folders: Graph = {}
    for module, imported in found.items():
        here = _cut(module, depth)
        folders.setdefault(here, set()).update(_cut(name, depth) for name in imported)
    return {here: imported - {here} for here, imported in folders.items()}


def circle(found: Mapping[str, Iterable[str]]) -> Optional[list[str]]:
    """A way from a module back to itself, or None if there is none."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> Optional[list[str]]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for name in sorted(found.get(module, ())):
            if name != module and (back := walk(name, [*way, module])):
                return back
        done.add(module)
        return None

    return next((back for module in sorted(found) if (back := walk(module, []))), None)


def _name(package: Path, file: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module(name: str, known: set[str]) -> str:
    """The longest part of the name that is a module: the rest is something in it."""
    whole = name
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or whole


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])
