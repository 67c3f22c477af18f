# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The product's rules on who may import whom; CONTRIBUTING.md has the picture."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict

import pytest

from . import code_map
from .imports import PRODUCT, Graph, circle, folded, graph, outside
from .layers import GROUND, LAYERS

NAME = PRODUCT.name
FOUND = graph(PRODUCT)

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
    *("codec", "errors", "extents", "method_names", "system_errors", "processes"),
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
    used = [m for m in _reachable(f"{NAME}.{place}") if not m.startswith(NAME)]
    assert [m for m in used if m.split(".")[0] not in sys.stdlib_module_names] == []


def test_bareos_fd_loads_no_library_of_the_data_plane() -> None:
    """C extensions cannot live in its sub-interpreters, and a crash would be the daemon's."""
    loaded = _reachable(f"{NAME}.fd")
    assert not {m.split(".")[0] for m in loaded} & {"nbd", "lz4", "xxhash", "click", "rich"}
    assert not [m for m in loaded if _within(m, f"{NAME}.mover.child")]


def _reachable(place: str) -> set[str]:
    """All modules that are loaded with those of a place."""
    pending = [module for module in FOUND if _within(module, place)]
    assert pending, place
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += FOUND.get(module, ())
    return seen


def test_nothing_knows_the_lab() -> None:
    for file in PRODUCT.rglob("*.py"):
        assert "vmsnap_lab" not in file.read_text(), file


def test_a_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for file in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(file.relative_to(PRODUCT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_picture_shows_what_is() -> None:
    assert {folder for floor in code_map._FLOORS for folder in floor} == set(LAYERS)
    assert code_map.PICTURE.read_text() == code_map.svg(), "run python -m tests.structure.code_map"
