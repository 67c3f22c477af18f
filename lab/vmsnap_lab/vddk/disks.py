# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which disk a path means, and whether it may be opened that way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmsnap_lab.storage import Door, StorageError
from vmsnap_lab.vcenter import datastore_files
from vmsnap_lab.vcenter.vm import buses, power
from vmsnap_lab.vddk.habits import VddkHabits
from vmsnap_lab.vddk.login import Login
from vmsnap_lab.vddk.vix_errors import VixError, VixFailure

SINGLE_LINK, READ_ONLY = 2, 4  # flags of Open


@dataclass(frozen=True)
class OpenableDisk:
    """A disk that may be opened. late_refusal: it looks writable, but writing it fails.

    own_links: how many of its links, from the top, are in its own folder.
    """

    door: Door
    uuid: str
    links: int
    own_links: int
    parent: Optional[str]
    late_refusal: bool = False


def find(login: Login, path: str, flags: int, habits: VddkHabits) -> OpenableDisk:
    """Raises VixFailure. The caller holds the vCenter's lock."""
    writable = not flags & READ_ONLY
    single_link = bool(flags & SINGLE_LINK)
    if single_link and (writable or not habits.single_link):
        raise VixFailure(
            VixError.NOT_SUPPORTED, f"VixDiskLib: Cannot open {path} as a single link."
        )
    if writable and login.read_only:
        raise _refused(path, VixError.FILE_ACCESS_ERROR, "the connection is read-only")
    config = login.vm.live if login.snapshot is None else login.snapshot.frozen
    device = _device(config, path)
    if device is None:
        _explain_missing(login, path, writable)
    if login.snapshot is None:
        _check_current(login, path, writable)
    late = writable and login.snapshot is not None
    if late and not habits.late_write_refusal:
        raise _refused(path, VixError.FILE_ACCESS_ERROR, "it belongs to a snapshot")
    return _target(login, device, writable and not late, single_link, late)


def _device(config: Any, path: str) -> Any:
    return next(
        (d for d in buses.disks(config.hardware.device) if d.backing.fileName == path), None
    )


def _explain_missing(login: Login, path: str, writable: bool) -> None:
    """Links below the named state are files of the VM, but not to be written."""
    store = login.vm.vcenter.store
    chains = (
        store.chain(login.vm.vcenter.disk_path(disk.backing.fileName))
        for disk in buses.disks(login.vm.live.hardware.device)
    )
    if writable and any(path in chain for chain in chains):
        raise _refused(path, VixError.FILE_ALREADY_LOCKED, "other disks build on it")
    raise _refused(path, VixError.FILE_NOT_FOUND, "it is no disk of that state of the VM")


def _check_current(login: Login, path: str, writable: bool) -> None:
    if login.vm.powerState != power.OFF:
        raise _refused(path, VixError.FILE_ALREADY_LOCKED, "Failed to lock the file")
    if writable and login.vm.live.template:
        raise _refused(path, VixError.FILE_ACCESS_ERROR, "the VM is a template")


def _target(
    login: Login, device: Any, writable: bool, single_link: bool, late: bool
) -> OpenableDisk:
    vcenter = login.vm.vcenter
    path = vcenter.disk_path(device.backing.fileName)
    try:
        chain = vcenter.store.chain(path)
    except StorageError as error:
        raise _refused(path, VixError.FILE_NOT_FOUND, str(error)) from error
    return OpenableDisk(
        door=Door(path, writable, single_link),
        uuid=device.backing.uuid or "",
        links=1 if single_link else len(chain),
        own_links=1 if single_link else _own_links(chain),
        parent=None if single_link or len(chain) == 1 else chain[1],
        late_refusal=late,
    )


def _own_links(chain: Sequence[str]) -> int:
    folder = datastore_files.folder_of(chain[0])
    beside = (datastore_files.folder_of(path) == folder for path in chain)
    return len(list(itertools.takewhile(bool, beside)))


def _refused(path: str, error: VixError, reason: str) -> VixFailure:
    return VixFailure(
        error,
        "[NFC ERROR] NfcFssrvrProcessErrorMsg: received NFC error 5 from server: Failed to open "
        f"'{path}': {reason}",
    )
