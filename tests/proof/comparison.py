# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""How a restored VM differs from what it must be."""

from __future__ import annotations

from typing import Optional

from tests.proof.reference import Hardware, Machine


def differences(found: Machine, wanted: Machine) -> list[str]:
    """In words, one each; none if the trees, their order, and every byte are the same."""
    if len(found.snapshots) != len(wanted.snapshots):
        names = [[taken.name for taken in m.snapshots.values()] for m in (found, wanted)]
        return [f"snapshots {names[0]}, not {names[1]}"]
    pairs = dict(zip(in_order(found), in_order(wanted)))
    unlike = []
    for key, other in pairs.items():
        mine, its = found.snapshots[key], wanted.snapshots[other]
        if (mine.name, mine.description) != (its.name, its.description):
            unlike.append(
                f"{mine.name!r} ({mine.description}), not {its.name!r} ({its.description})"
            )
        if (pairs[mine.parent] if mine.parent else None) != its.parent:
            unlike.append(f"{mine.name!r} hangs elsewhere")
        unlike += _hardware(mine.hardware, its.hardware, f"snapshot {mine.name!r}")
    if (pairs[found.current] if found.current else None) != wanted.current:
        unlike.append("the VM stands elsewhere")
    if wanted.nvram is not None and found.nvram != wanted.nvram:
        unlike.append("the NVRAM is another one")
    return unlike + _hardware(found.hardware, wanted.hardware, "the state")


def in_order(machine: Machine) -> list[str]:
    """The snapshots as vSphere lists them: breadth first, siblings by creation."""
    order: list[str] = []
    pending = machine.children(None)
    while pending:
        key = pending.pop(0)
        order.append(key)
        pending += machine.children(key)
    return order


def _hardware(found: Hardware, wanted: Hardware, where: str) -> list[str]:
    mine = (found.cpus, found.memory_mb, found.nics, sorted(found.disks))
    its = (wanted.cpus, wanted.memory_mb, wanted.nics, sorted(wanted.disks))
    if mine != its:
        return [f"{where} has CPUs, MB, NICs, disks {mine}, not {its}"]
    unlike = []
    for key, content in wanted.disks.items():
        at = first_difference(found.disks[key], content)
        if at is not None:
            unlike.append(f"disk {key} of {where} differs at byte {at}")
    return unlike


def first_difference(one: bytearray, other: bytearray) -> Optional[int]:
    if one == other:
        return None
    if len(one) != len(other):
        return min(len(one), len(other))
    return next(n for n, (a, b) in enumerate(zip(one, other)) if a != b)
