# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who imports whom, read from the sources: nothing of them is run.

A loose module counts as a folder of its own: `transport.server` beside `transport.vddk`, not the
folder of both. `transport` alone is what its __init__.py imports.
"""

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

    What is imported is named as far as it is a module of the package, else as it stands. In a
    module that imports by name at run time, every string that names a module counts.
    """
    files = sorted(package.rglob("*.py"))
    known = {_name(package, file) for file in files}
    found: Graph = {}
    for file in files:
        tree = ast.parse(file.read_bytes())
        names = imported(tree)
        if by_name(tree):
            names |= {text for text in _strings(tree) if "." in text and text in known}
        found[_name(package, file)] = {_module(name, known) for name in names}
    return found


def imported(tree: ast.Module) -> set[str]:
    """The dotted names in import statements, and those given to import_module as they stand."""
    return set(_imported(tree))


def by_name(tree: ast.Module) -> bool:
    """Whether it has means to import what no import statement names."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = imported(tree)
    return bool(
        {name.split(".")[0] for name in names}
        & {"importlib", "imp", "pkgutil", "runpy", "zipimport"}
        or used & {"__import__", "__builtins__", "__loader__", "eval", "exec"}
        or "builtins.__import__" in names
        or attributes & {"__import__", "import_module", "load_module", "exec_module"}
    )


def importing_by_name(package: Path) -> set[str]:
    """The modules of a package that by_name() is true for."""
    return {
        _name(package, file)
        for file in package.rglob("*.py")
        if by_name(ast.parse(file.read_bytes()))
    }


def loaded(found: Graph, modules: Iterable[str]) -> set[str]:
    """All modules that are loaded with these, themselves too: a.b.c loads a and a.b first."""
    pending = list(modules)
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += found.get(module, ())
            if "." in module:
                pending.append(module.rpartition(".")[0])
    return seen


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


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (text for argument in node.args for text in _strings(argument, whole=True))


def _strings(tree: ast.AST, whole: bool = False) -> Iterator[str]:
    """The strings in it; with `whole` only itself."""
    for node in [tree] if whole else ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _module(name: str, known: set[str]) -> str:
    """The longest part of the name that is a module: the rest is something in it."""
    whole = name
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or whole


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])
