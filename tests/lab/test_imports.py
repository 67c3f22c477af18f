# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab's layers, and what it may import: read from its sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.structure import imports
from tests.structure.layers import LAB_IMPORTS_BY_NAME, LAB_LAYERS

NAME = "vmsnap_lab"
VCENTER = f"{NAME}.vcenter"
# From the ground up. What stands in a row imports from rows above it here, and nothing beside it.
LAYERS = (
    ("certificates", "door_keeper", "entity_names", "faults", "habits", "registry"),
    ("datastore_files",),
    ("world",),
    ("managed",),
    ("entity", "properties"),
    ("services",),
    ("collector", "inventory", "soap"),
    ("vm",),
    ("snapshots",),
    ("operations",),
    ("vcenter",),
    ("web",),
)
# bareosfd is the lab's own: its stand-ins for Bareos' modules import each other as the real ones do.
THIRD_PARTY = {"bareosfd", "click", "nbd", "pyVim", "pyVmomi", "rich", "xxhash"}
PRODUCT = "bareos_vmsnap"

GRAPH = imports.graph(imports.LAB)


def _vcenter() -> imports.Graph:
    inside = {module: names for module, names in GRAPH.items() if module.startswith(VCENTER)}
    return imports.folded(inside, depth=3)


def _upward(folders: imports.Graph) -> Iterator[str]:
    """Imports within the simulated vCenter that do not lead to a row further down."""
    row_of = {f"{VCENTER}.{name}": row for row, names in enumerate(LAYERS) for name in names}
    for folder, names in folders.items():
        for name in names & row_of.keys():
            if folder in row_of and row_of[name] >= row_of[folder]:
                yield f"{folder} imports {name}"


def test_no_modules_import_each_other() -> None:
    assert imports.circle(GRAPH) is None


def test_no_folders_import_each_other() -> None:
    for depth in (2, 3):
        assert imports.circle(imports.folded(GRAPH, depth)) is None


def _folders(found: imports.Graph) -> imports.Graph:
    """The lab's folders and loose modules by their names alone, with what they import of it."""
    return {
        folder.rpartition(".")[2]: {
            name.rpartition(".")[2] for name in names if name.startswith(f"{NAME}.")
        }
        for folder, names in imports.folded(found, depth=2).items()
        if folder != NAME
    }


def _above(found: imports.Graph) -> list[str]:
    """Imports that LAB_LAYERS does not have."""
    return sorted(
        f"{folder} imports {name}"
        for folder, names in _folders(found).items()
        for name in names - LAB_LAYERS[folder]
    )


def test_layers_of_the_lab() -> None:
    assert _folders(GRAPH).keys() == LAB_LAYERS.keys()
    assert _above(GRAPH) == []
    order = list(LAB_LAYERS)
    for folder, allowed in LAB_LAYERS.items():
        assert all(order.index(name) < order.index(folder) for name in allowed), folder


@pytest.mark.parametrize(
    ("folder", "name"), [("storage", "filedaemon"), ("filedaemon", "vcenter"), ("lab", "demo")]
)
def test_an_import_of_another_folder_is_seen(folder: str, name: str) -> None:
    seeded = {**GRAPH, f"{NAME}.{folder}.new": {f"{NAME}.{name}.new"}}
    assert _above(seeded) == [f"{folder} imports {name}"]


def test_the_packages_themselves_import_nothing_above() -> None:
    """They are loaded before anything in them is."""
    assert GRAPH[NAME] == set()
    assert GRAPH[VCENTER] == {"__future__.annotations", f"{VCENTER}.habits"}


def test_imports_by_name_are_known() -> None:
    known = {f"{NAME}.{module}" for module in LAB_IMPORTS_BY_NAME}
    assert imports.importing_by_name(imports.LAB) == known


def test_layers_of_the_simulated_vcenter() -> None:
    folders = _vcenter()
    assert sorted(folders.keys() - {VCENTER}) == sorted(
        f"{VCENTER}.{name}" for names in LAYERS for name in names
    )
    assert list(_upward(folders)) == []


def test_an_import_of_a_layer_above_is_seen() -> None:
    seeded = {**_vcenter(), f"{VCENTER}.world": {f"{VCENTER}.vm"}}
    assert list(_upward(seeded)) == [f"{VCENTER}.world imports {VCENTER}.vm"]
    assert imports.circle(seeded) is not None


def test_third_party_packages() -> None:
    found = {name.split(".")[0] for _, name in imports.outside(GRAPH, NAME)}
    assert found - set(sys.stdlib_module_names) == THIRD_PARTY


def test_nothing_of_the_product() -> None:
    """Not by its name in a string either. The plugin's file, bareos-fd-vmsnap, has another name."""
    sources = [file for file in imports.LAB.rglob("*") if file.suffix in (".py", ".c", ".h")]
    assert sources
    named = [str(file) for file in sources if PRODUCT in file.read_text()]
    assert named == []
