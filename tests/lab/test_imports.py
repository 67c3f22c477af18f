# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The lab's layers, and what it may import: read from its sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.structure import imports

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
    assert imports.circle(imports.folded(GRAPH, depth=2)) is None
    assert imports.circle(_vcenter()) is None


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
