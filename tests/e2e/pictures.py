# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Trees drawn as text become VMs with that snapshot tree, other data at every node.

    A
      B
      (C) *
        D

is a root A with the children B and C, and D under C; the VM stands at the node with the star, or
at the last one. Rows are taken from top to bottom. Snapshots in parentheses are deleted at the end.
"""

from __future__ import annotations

import textwrap
from typing import Any, Optional

from .machine import Machine


def draw(machine: Machine, picture: str, *, hardware: bool = False) -> dict[str, Any]:
    """Let users take and delete the snapshots of the picture; return them by name.

    With `hardware` every row has more memory than the one above it.
    """
    taken: dict[str, Any] = {}
    line: list[tuple[int, str]] = []
    at: Optional[str] = None
    star: Optional[str] = None
    doomed: list[str] = []
    for row in textwrap.dedent(picture).strip("\n").splitlines():
        indent = len(row) - len(row.lstrip())
        name = row.strip().replace(" *", "")
        line = [(i, n) for i, n in line if i < indent]
        parent = line[-1][1] if line else None
        if name.startswith("("):
            name = name.strip("()")
            doomed.append(name)
        if parent is not None and parent != at:
            machine.revert(taken[parent])
        assert parent is not None or at is None, "a second root comes from deleting the first"
        if hardware:
            machine.reconfigure(memoryMB=512 + 4 * len(taken))
        machine.scribble(name)
        taken[name] = machine.snapshot(name, f"about {name}")
        line.append((indent, name))
        at = name
        if row.endswith("*"):
            star = name
    if star is not None and star != at:
        machine.revert(taken[star])
    machine.scribble("now")
    for name in doomed:
        machine.remove(taken.pop(name))
    return taken
