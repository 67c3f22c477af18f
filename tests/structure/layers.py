# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The product's floors: which folder may import which. Arrows run downward only."""

# Single modules that everything may import, and what they may import of each other.
GROUND: dict[str, set[str]] = {
    "codec": set(),
    "errors": set(),
    "extents": set(),
    "method_names": set(),
    "system_errors": {"errors"},
}
# Of each folder the folders it may import, besides the ground floor; lower ones come first.
LAYERS: dict[str, set[str]] = {
    "processes": set(),
    "tree": set(),
    "stream": set(),
    "transport": {"processes"},
    "mover": {"processes", "stream", "transport"},
    "relocation_block": {"processes", "transport"},
    "vsphere": {"tree"},
    "target": {"transport", "tree", "vsphere"},
    "rebuild": {"mover", "stream", "target", "tree"},
    "fd": {
        *("mover", "processes", "relocation_block", "stream", "target", "transport"),
        *("tree", "vsphere"),
    },
    "cli": {
        *("fd", "mover", "processes", "rebuild", "stream", "target", "transport", "tree"),
        "vsphere",
    },
}
