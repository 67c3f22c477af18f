# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The floors of product and lab: which folder may import which. Arrows run downward only.

A loose module counts as a folder of its own. The package itself, __init__.py, imports nothing: it
is loaded before anything else is.
"""

# The product. Single modules that everything may import, and what they may import of each other.
GROUND: dict[str, set[str]] = {
    "dataclass_json": set(),
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
    "mover": {"processes", "stream", "transport", "tree"},
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
# Where the product may import by name at run time, and why.
IMPORTS_BY_NAME = {
    "cli.main": "a subcommand's module is loaded when it is called, so that help needs no library",
    "mover.child.forkserver": "after it has started to report, so that a failed import is reported",
    "mover.child.process": "likewise",
    "transport.registry": "a transport may need what is not installed everywhere",
}
# What runs anywhere: no file, no process, no network, no clock. It may use these of the standard
# library, and the built-in functions without I/O.
PURE = ("dataclass_json", "errors", "extents", "method_names", "stream", "tree")
PURE_LIBRARY = {
    *("__future__", "bisect", "collections", "dataclasses", "datetime", "enum", "functools"),
    *("hashlib", "heapq", "itertools", "json", "math", "re", "struct", "typing", "unicodedata"),
    *("uuid", "zlib"),
}
# The lab's folders and loose modules, lower ones first. Those of its vCenter: tests/lab.
LAB_LAYERS: dict[str, set[str]] = {
    "storage": set(),
    "vcenter": {"storage"},
    "vddk": {"storage", "vcenter"},
    "array": {"storage", "vcenter"},
    "guest": {"vcenter"},
    "lab": {"guest", "storage", "vcenter", "vddk"},
    "plugin_options": {"lab", "vddk"},
    "filedaemon": set(),
    "demo": {"filedaemon", "guest", "lab", "plugin_options", "vcenter"},
    "cli": {"demo", "filedaemon", "lab", "plugin_options", "vddk"},
    "__main__": {"cli"},
}
LAB_IMPORTS_BY_NAME = {
    "cli.main": "a subcommand's module is loaded when it is called, so that help needs no library",
    "filedaemon": "its names are loaded when they are used: jobs need few of them",
    "filedaemon.job.plugin": "loads the plugin, as Bareos does",
}
