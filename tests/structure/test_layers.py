# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The product's rules on who may import whom; CONTRIBUTING.md has the picture."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from . import code_map
from .imports import (
    PRODUCT,
    REPOSITORY,
    Graph,
    by_name,
    circle,
    folded,
    graph,
    imported,
    importing_by_name,
    loaded,
    outside,
)
from .layers import GROUND, IMPORTS_BY_NAME, LAYERS, PURE, PURE_LIBRARY

NAME = PRODUCT.name
FOUND = graph(PRODUCT)
# What Bareos loads by its name; the rest is loaded by it.
PLUGIN_FILE = REPOSITORY / "bareos-fd-vmsnap.py"

# What may be used that is not in the standard library, and where.
THIRD_PARTY = {
    "stream": {"lz4", "xxhash"},
    "mover.child": {"nbd", "xxhash"},
    "vsphere": {"pyVim", "pyVmomi"},
    "target": {"pyVmomi"},
    "fd": {"pyVmomi"},
    "fd.messages": {"bareosfd"},
    "fd.plugin": {"bareosfd", "BareosFdPluginBaseclass"},
    "cli": {"click", "rich"},
}
# Parts that run in bareos-fd as well as in processes of ours, or that readers of the format reuse.
STANDARD_LIBRARY_ONLY = (
    *("dataclass_json", "errors", "extents", "method_names", "system_errors", "processes"),
    *("tree", "transport"),
    *("relocation_block", "mover.client", "mover.plan", "mover.report", "mover.wire"),
)


def _own(found: Graph) -> Graph:
    prefix = f"{NAME}."
    return {
        module[len(prefix) :]: {name[len(prefix) :] for name in names if name.startswith(prefix)}
        for module, names in found.items()
        if module.startswith(prefix)
    }


def _within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def test_every_folder_has_its_rule() -> None:
    assert set(_own(folded(FOUND, 2))) == {*GROUND, *LAYERS}


@pytest.mark.parametrize("folder", sorted([*GROUND, *LAYERS]))
def test_a_folder_imports_what_is_below_it(folder: str) -> None:
    imported = _own(folded(FOUND, 2))[folder]
    allowed = LAYERS[folder] | GROUND.keys() if folder in LAYERS else GROUND[folder]
    assert imported <= allowed


def test_arrows_run_downward() -> None:
    order = list(LAYERS)
    for folder, allowed in LAYERS.items():
        assert all(order.index(name) < order.index(folder) for name in allowed), folder


def test_no_circles() -> None:
    assert circle(FOUND) is None
    assert circle(folded(FOUND, 2)) is None
    assert circle(folded(FOUND, 3)) is None


def test_both_sides_of_a_mover_meet_on_their_common_ground_only() -> None:
    own = _own(FOUND)
    for module, names in own.items():
        if _within(module, "mover.child"):
            assert not [name for name in names if _within(name, "mover.client")], module
        elif not _within(module, "cli"):
            assert not [name for name in names if _within(name, "mover.child")], module


def test_a_mover_knows_of_the_tree_the_header_of_segments_only() -> None:
    for module, names in _own(FOUND).items():
        if _within(module, "mover"):
            assert {name for name in names if _within(name, "tree")} <= {"tree.segment_header"}


def test_third_party_packages_are_where_they_belong() -> None:
    for module, name in outside(FOUND, NAME):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package == "__future__":
            continue
        allowed = {
            each
            for place, packages in THIRD_PARTY.items()
            if _within(module, f"{NAME}.{place}")
            for each in packages
        }
        assert package in allowed, f"{module} imports {package}"


@pytest.mark.parametrize("place", STANDARD_LIBRARY_ONLY)
def test_all_that_is_loaded_by_these_is_the_standard_library(place: str) -> None:
    used = [m for m in _reachable(FOUND, place) if not _within(m, NAME)]
    assert [m for m in used if m.split(".")[0] not in sys.stdlib_module_names] == []


def test_bareos_fd_loads_no_library_of_the_data_plane() -> None:
    """C extensions cannot live in its sub-interpreters, and a crash would be the daemon's."""
    assert _of_the_data_plane(FOUND) == []


def _of_the_data_plane(found: Graph) -> list[str]:
    """What bareos-fd would load that only a mover or a shell may."""
    libraries = {"nbd", "lz4", "xxhash", "click", "rich"}
    return sorted(
        module
        for module in _reachable(found, "fd")
        if module.split(".")[0] in libraries or _within(module, f"{NAME}.mover.child")
    )


def test_the_plugin_file_loads_the_plugin_and_nothing_else() -> None:
    tree = ast.parse(PLUGIN_FILE.read_bytes())
    ours = {name for name in imported(tree) if name.split(".")[0] != "BareosFdWrapper"}
    assert ours == {f"{NAME}.fd.plugin.VmsnapPlugin"}
    assert not by_name(tree)


def test_the_package_itself_imports_nothing() -> None:
    assert FOUND[NAME] == set()


def test_imports_by_name_are_known() -> None:
    assert importing_by_name(PRODUCT) == {f"{NAME}.{module}" for module in IMPORTS_BY_NAME}


@pytest.mark.parametrize("place", PURE)
def test_the_pure_does_no_io(place: str) -> None:
    assert _impure(FOUND, place) == []
    assert _io_calls(place) == []


def _impure(found: Graph, place: str) -> list[str]:
    """What a pure place loads that is neither pure nor harmless."""
    harmless = {*PURE_LIBRARY, *THIRD_PARTY["stream"]}
    return sorted(
        module
        for module in _reachable(found, place) - {NAME}
        if module.split(".")[0] not in harmless
        and not any(_within(module, f"{NAME}.{each}") for each in PURE)
    )


def _io_calls(place: str) -> list[str]:
    files = [
        file
        for file in PRODUCT.rglob("*.py")
        if _within(".".join(file.relative_to(PRODUCT).with_suffix("").parts), place)
    ]
    assert files
    return [
        f"{file}:{node.lineno}: {node.func.id}"
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("open", "print", "input")
    ]


def _reachable(found: Graph, place: str) -> set[str]:
    """All modules that are loaded with those of a place."""
    start = [module for module in found if _within(module, f"{NAME}.{place}")]
    assert start, place
    return loaded(found, start)


SEEDED = {
    "of a folder above": ("stream", "lz4.block"),
    "of the package itself": ("", f"{NAME}.mover.child.nbd_connection"),
    "further away": ("tree.names", "nbd"),
}


@pytest.mark.parametrize(("module", "name"), SEEDED.values(), ids=SEEDED.keys())
def test_a_library_in_bareos_fd_is_seen(module: str, name: str) -> None:
    module = f"{NAME}.{module}".rstrip(".")
    assert _of_the_data_plane({**FOUND, module: {*FOUND[module], name}})


def test_io_of_what_is_pure_is_seen() -> None:
    for module, name in (("tree.names", "socket"), ("stream.frame", f"{NAME}.system_errors")):
        seeded = {**FOUND, f"{NAME}.{module}": {name}}
        assert name in _impure(seeded, module.partition(".")[0])


def test_imports_by_name_are_seen(tmp_path: Path) -> None:
    package = tmp_path / "p"
    package.mkdir()
    sources = {
        "a": "import importlib\nimportlib.import_module('p.b')\nimportlib.import_module('nbd')",
        "b": "from importlib import import_module as load\nNAMES = ['p.c', 'x.y']\nload(NAMES[0])",
        "c": "__import__('lz4')",
        "d": "NAMES = ['p.c']",
    }
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    assert importing_by_name(package) == {"p.a", "p.b", "p.c"}
    found = graph(package)
    assert found["p.a"] == {"importlib", "p.b", "nbd"}
    assert "p.c" in found["p.b"]
    assert found["p.d"] == set()


def test_nothing_knows_the_lab() -> None:
    for file in (PLUGIN_FILE, *PRODUCT.rglob("*.py")):
        assert "vmsnap_lab" not in file.read_text(), file


def test_a_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for file in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(str(file.relative_to(PRODUCT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_picture_shows_what_is() -> None:
    assert {folder for floor in code_map._FLOORS for folder in floor} == set(LAYERS)
    assert code_map.PICTURE.read_text() == code_map.svg(), "run python -m tests.structure.code_map"
