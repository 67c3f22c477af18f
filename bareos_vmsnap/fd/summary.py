# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Tables for the job log."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bareos_vmsnap.tree import model, names

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """A number of bytes in a readable form."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A line for each row, indented, with columns as wide as their widest cell."""
    widths = [max(_width(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = []
    for row in (head, *rows):
        lines.append("  ".join(c + " " * (w - _width(c)) for c, w in zip(row, widths)))
    return "".join(f"\n    {line.rstrip()}" for line in lines)


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def backup(tree: model.BlockTree, timepoint: str) -> str:
    """What a job sent: node, disk, base, method and why, bytes changed and sent."""
    rows = []
    for segment in tree.segments.values():
        if segment.timepoint != timepoint:
            continue
        node = tree.nodes[segment.node]
        disk = node.disk(segment.disk)
        rows.append(
            (
                names.called(node.directory),
                disk.slot if disk else str(segment.disk),
                names.called(tree.nodes[segment.base].directory) if segment.base else "-",
                segment.method,
                size(segment.changed),
                size(segment.data),
                size(segment.zero),
                size(segment.size),
                segment.reason,
            )
        )
    head = ("node", "disk", "base", "method", "changed", "data", "zero", "sent", "why")
    return table(head, rows)
