# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The marks we leave in vSphere, by which we recognise our own objects and leave others alone."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap.tree import restored_marks

BACKUP_PREFIX = "vmsnap backup "
# In the configuration of every snapshot a restore makes, with another value in each: CBT misreports
# what a restore wrote, so such a snapshot cannot be the base of a CBT query (VDDK guide, "restoring
# virtual disks"). The values are those of tree.restored_marks.
RESTORED_KEY = "bareos-vmsnap.restored"
# In the VM's own configuration: the markers of backup jobs, the newest first. Every job adds one
# before it takes its snapshot. A revert brings the older configuration back, so a marker that is
# still there proves that the VM goes on from the state which that job saved.
BACKUP_KEY = "bareos-vmsnap.backup"
KEYS = (RESTORED_KEY, BACKUP_KEY)
# The name of a VM ends so until all of it is restored.
INCOMPLETE = " (incomplete restore)"
# Jobs on which a later one can build: the Full of a Differential is one of many, and a VM may be in
# several jobs.
KEPT = 128
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


def restored_mark(options: Any) -> Optional[str]:
    """The restore's mark in the extraConfig of a configuration, or None."""
    for option in options or []:
        if option.key == RESTORED_KEY and option.value:
            return str(option.value)
    return None


def restored_by(config: Any) -> Optional[str]:
    """The job that restored the VM of this ConfigInfo, or None if it has no such mark."""
    mark = restored_mark(config.extraConfig)
    return None if mark is None else restored_marks.job(mark)


def new_backup() -> str:
    """A marker that no other job has."""
    return secrets.token_hex(6)


def backups(config: Any) -> tuple[str, ...]:
    """The markers of backup jobs in this ConfigInfo, the newest first."""
    return tuple(_option(config, BACKUP_KEY).split())


def backup_spec(config: Any, marker: str, needed: Optional[str] = None) -> Any:
    """The spec that adds a marker to those of the VM's ConfigInfo, and forgets the oldest but for
    the one that is `needed`.

    It is refused (ConcurrentAccess) if the configuration is no longer that one: a revert must not
    come between reading the markers and writing them back.
    """
    known = backups(config)
    kept = [marker, *known][:KEPT]
    if needed in known and needed not in kept:
        kept[-1] = needed
    option = vim.option.OptionValue(key=BACKUP_KEY, value=" ".join(kept))
    return vim.vm.ConfigSpec(changeVersion=config.changeVersion, extraConfig=[option])


def strip_backups(config: Any) -> None:
    """Remove them from a ConfigInfo: they are no part of what is saved and restored."""
    config.extraConfig = [o for o in config.extraConfig or [] if o.key != BACKUP_KEY]


def _option(config: Any, key: str) -> str:
    for option in config.extraConfig or []:
        if option.key == key:
            return str(option.value or "")
    return ""
