# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The space that a VM's files take on their datastores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def disk_sizes(vm: Any) -> dict[str, int]:
    """Bytes on the datastore by disk file: of each file alone, without those it builds on."""
    layout = vm.layoutEx
    if layout is None:
        return {}
    files = {file.key: file for file in layout.file or []}
    sizes: dict[str, int] = {}
    for unit in _units(layout):
        members = [files[key] for key in unit.fileKey if key in files]
        total = sum(member.size for member in members)
        for member in members:
            sizes[member.name] = total
    return sizes


def _units(layout: Any) -> Iterator[Any]:
    disks = list(layout.disk or [])
    for snapshot in layout.snapshot or []:
        disks += snapshot.disk or []
    for disk in disks:
        yield from disk.chain or []
