# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM's portrait: its tree and the digest of every disk at every node, for comparing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vcenter.registry import moid_of


@dataclass(frozen=True)
class NodeFingerprint:
    """One node: what must be the same after a restore. path: its place in the tree, by position."""

    path: tuple[int, ...]
    name: str
    description: str
    current: bool
    cpus: int
    memory_mb: int
    disks: tuple[tuple[str, int, str], ...]  # (slot, capacity in bytes, SHA-256)


def take(vm: Any, guest: Guest) -> list[NodeFingerprint]:
    """The faces of all snapshots in tree order, and at last that of the VM's own state."""
    info = vm.snapshot
    current = moid_of(info.currentSnapshot) if info and info.currentSnapshot else None
    faces: list[NodeFingerprint] = []
    roots = info.rootSnapshotList if info else []
    pending: list[tuple[tuple[int, ...], Any]] = [((n,), root) for n, root in enumerate(roots)]
    while pending:
        path, tree = pending.pop(0)
        moref = moid_of(tree.snapshot)
        config = tree.snapshot.config
        faces.append(
            _fingerprint(path, tree.name, tree.description, moref == current, config, guest, moref)
        )
        below = enumerate(tree.childSnapshotList or [])
        pending = [((*path, n), child) for n, child in below] + pending
    faces.append(_fingerprint((), "(current state)", "", False, vm.config, guest, None))
    return faces


def sizes(vm: Any, lab: Lab) -> dict[str, int]:
    """What each snapshot's own files take on the datastore, in bytes, by moref."""
    taken: dict[str, int] = {}
    pending = list(vm.snapshot.rootSnapshotList) if vm.snapshot else []
    while pending:
        tree = pending.pop()
        pending += tree.childSnapshotList or []
        devices: list[Any] = tree.snapshot.config.hardware.device
        disks = (d for d in devices if isinstance(d, vim.vm.device.VirtualDisk))
        files: list[Any] = [getattr(disk.backing, "fileName", "") for disk in disks]
        taken[moid_of(tree.snapshot)] = sum(lab.store.size_on_datastore(file) for file in files)
    return taken


def _fingerprint(
    path: tuple[int, ...],
    name: str,
    description: str,
    current: bool,
    config: Any,
    guest: Guest,
    moref: Optional[str],
) -> NodeFingerprint:
    disks = [d for d in config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
    digests = tuple(
        (
            f"{d.controllerKey}:{d.unitNumber}",
            d.capacityInBytes or 0,
            guest.sha256(d.key, snapshot=moref),
        )
        for d in disks
    )
    hardware = config.hardware
    return NodeFingerprint(
        path, name, description or "", current, hardware.numCPU, hardware.memoryMB, digests
    )
