# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The marks we leave in vSphere, by which we recognise our own objects and leave others alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Optional

BACKUP_PREFIX = "vmsnap backup "
# In the configuration of every snapshot a restore makes: CBT misreports what a restore wrote, so
# such a snapshot cannot be the base of a CBT query (VDDK guide, "restoring virtual disks").
RESTORED_KEY = "bareos-vmsnap.restored"
# vSphere's clients allow 80 characters, Bareos' job names may have 127.
_LONGEST_NAME = 80
_LONGEST_HOST = 100
_DESCRIPTION = (
    "Temporary snapshot of bareos-vmsnap on {host} ({id}); it is deleted when the job ends."
)
_DAEMON = re.compile(r"^Temporary snapshot of bareos-vmsnap on (\S+) \(([0-9a-f]{16})\);")


@dataclass(frozen=True)
class FileDaemon:
    """A file daemon: its host's name, and an id (16 hexadecimal digits) that no other one has."""

    host: str
    id: str


@dataclass(frozen=True)
class Leftover:
    """A backup snapshot found on a VM, its job's name, maybe shortened, and who took it."""

    moref: str
    name: str
    job: str
    daemon: FileDaemon


def backup_name(job: str) -> str:
    """The name of the backup snapshot of the job with that unique name.

    A long one is shortened by us, so that it stays unique, and not by vSphere.
    """
    name = BACKUP_PREFIX + job
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(job.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}~{digest}"


def backup_description(daemon: FileDaemon) -> str:
    """The description of a backup snapshot taken by this file daemon."""
    return _DESCRIPTION.format(host=daemon.host[:_LONGEST_HOST], id=daemon.id)


def leftover(name: str, description: str, moref: str) -> Optional[Leftover]:
    """The backup snapshot this is, or None if the snapshot is not ours."""
    found = _DAEMON.match(description or "")
    if not name.startswith(BACKUP_PREFIX) or not found:
        return None
    daemon = FileDaemon(found.group(1), found.group(2))
    return Leftover(moref, name, name[len(BACKUP_PREFIX) :], daemon)


def restored_by(config: Any) -> Optional[str]:
    """The job that restored the VM of this ConfigInfo, or None if it has no such mark."""
    for option in config.extraConfig or []:
        if option.key == RESTORED_KEY and option.value:
            return str(option.value)
    return None
