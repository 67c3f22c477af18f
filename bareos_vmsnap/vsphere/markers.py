# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The marks we leave in vSphere, by which we recognise our own objects and leave others alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

BACKUP_PREFIX = "vmsnap backup "
# In the configuration of every snapshot a restore makes: CBT misreports what a restore wrote, so
# such a snapshot cannot be the base of a CBT query (VDDK guide, "restoring virtual disks").
RESTORED_KEY = "bareos-vmsnap.restored"
_DESCRIPTION = "Temporary snapshot of bareos-vmsnap on {host}; it is deleted when the job ends."
_HOST = re.compile(r"^Temporary snapshot of bareos-vmsnap on (\S+);")


@dataclass(frozen=True)
class Leftover:
    """A backup snapshot found on a VM; `host` is the file daemon that took it."""

    moref: str
    job: str
    host: str


def backup_name(job: str) -> str:
    """The name of the backup snapshot of the job with that unique name."""
    return BACKUP_PREFIX + job


def backup_description(host: str) -> str:
    """The description of a backup snapshot taken by the file daemon on `host`."""
    return _DESCRIPTION.format(host=host)


def leftover(name: str, description: str, moref: str) -> Optional[Leftover]:
    """The backup snapshot this is, or None if the snapshot is not ours."""
    found = _HOST.match(description or "")
    if not name.startswith(BACKUP_PREFIX) or not found:
        return None
    return Leftover(moref, name[len(BACKUP_PREFIX) :], found.group(1))


def restored_by(config: Any) -> Optional[str]:
    """The job that restored the VM of this ConfigInfo, or None if it has no such mark."""
    for option in config.extraConfig or []:
        if option.key == RESTORED_KEY and option.value:
            return str(option.value)
    return None
