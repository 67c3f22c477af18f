# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of disk files, and what a reconfiguration does to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Callable

from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter import faults
from vmsnap_lab.vcenter.world import World

_DELTA = re.compile(r"^(?P<base>.*?)(-\d{6})?\.vmdk$", re.DOTALL)


def new_disk_path(folder: str, base: str, taken: Callable[[str], bool]) -> str:
    """The path of a VM's next new disk: `vm.vmdk`, `vm_1.vmdk`, ..."""
    number = 0
    while True:
        suffix = f"_{number}" if number else ""
        path = f"{folder}/{base}{suffix}.vmdk"
        if not taken(path):
            return path
        number += 1


def delta_path(path: str, taken: Callable[[str], bool]) -> str:
    """The path of a new delta on a disk of that path: `vm-000001.vmdk`, lowest number free."""
    match = _DELTA.match(path)
    base = match.group("base") if match is not None else path
    number = 1
    while taken(f"{base}-{number:06}.vmdk"):
        number += 1
    return f"{base}-{number:06}.vmdk"


@dataclass
class FilePlan:
    """What a reconfiguration is going to do to disk files, once all of it was checked.

    create: path, capacity in bytes, thin; grow: path and new capacity; destroy and release:
    paths of disks taken away with or without their files; attach: paths of files that were
    there before.
    """

    create: list[tuple[str, int, bool]] = field(default_factory=list)
    grow: list[tuple[str, int]] = field(default_factory=list)
    destroy: list[str] = field(default_factory=list)
    release: list[str] = field(default_factory=list)
    attach: list[str] = field(default_factory=list)

    def is_taken(self, vcenter: World, path: str) -> bool:
        planned = any(path == created for created, _, _ in self.create)
        return planned or vcenter.store.exists(path)

    def carry_out(self, vcenter: World) -> None:
        """Create and grow; if that fails, nothing is left behind but disks already grown.

        Raises the fault for what the storage refused.
        """
        created: list[str] = []
        path = ""
        try:
            for path, capacity, thin in self.create:
                vcenter.store.create(path, capacity, thin=thin)
                created.append(path)
            for path, capacity in self.grow:
                vcenter.store.grow(path, capacity)
        except StorageError as error:
            for made in created:
                vcenter.store.delete(made)
            raise faults.from_storage(error, path) from error


def unused(paths: Any, users: Any) -> list[str]:
    """Those of `paths` that no configuration among `users` names."""
    named = {path for config in users for path in config_paths(config)}
    return [path for path in paths if path not in named]


def config_paths(config: Any) -> list[str]:
    """The files of all disks of a configuration, one each: the leaf or the frozen head."""
    return [
        device.backing.fileName
        for device in config.hardware.device
        if hasattr(device, "capacityInKB")
    ]
