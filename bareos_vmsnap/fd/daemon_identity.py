# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Which file daemon this is, also if several have one host name, as containers may."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from pathlib import Path

from bareos_vmsnap.processes import file_lock
from bareos_vmsnap.vsphere import markers

_FILE = "bareos-vmsnap.daemon-id"
_MACHINE_ID = Path("/etc/machine-id")


def find(host: str, working_directory: Path) -> markers.FileDaemon:
    """This file daemon, by its host, its working directory and a random number kept in there.

    The VMs' locks lie in the same directory: two daemons with one id would have the same locks.
    Raises OSError.
    """
    machine = ""
    with contextlib.suppress(FileNotFoundError):  # containers may lack it
        machine = _MACHINE_ID.read_text()
    parts = (host, machine.strip(), str(working_directory.resolve()), _kept(working_directory))
    return markers.FileDaemon(host, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16])


def _kept(directory: Path) -> str:
    """The number in the file, which is made if missing; jobs that make it at once agree."""
    descriptor = file_lock.lock(directory / _FILE, wait=True)
    assert descriptor is not None, "it was waited for"
    with open(descriptor, "r+", encoding="ascii") as file:
        number = file.read().strip()
        if not number:
            number = secrets.token_hex(16)
            file.write(number + "\n")
    return number
