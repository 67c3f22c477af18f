# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of the virtual files: directories mirror the snapshot tree.

A name once given never changes its meaning: every file's name carries the time point it was saved
at. Of a name that several jobs share, Bareos restores only the newest version.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Collection

ROOT = "/@vmsnap"
SEGMENT_SUFFIX = ".vmseg"
MANIFEST_SUFFIX = ".json"
NVRAM_SUFFIX = ".nvram"
_COMPONENT = 60  # bytes of a snapshot's name kept: 32 levels still make a usable path


def timepoint(taken: datetime.datetime, jobid: int) -> str:
    """The id of the time point saved by job `jobid` at `taken` (an aware datetime)."""
    return f"{taken.astimezone(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-j{jobid}"


def safe(name: str) -> str:
    """`name` as part of one path component a console user can type: no slash, blank, control."""
    kept = "".join("_" if _awkward(c) else c for c in name)
    short = kept.encode()[:_COMPONENT].decode(errors="ignore")
    return short.strip(".") or "_"


def _awkward(character: str) -> bool:
    return character in "/\\\"'*?[]:" or unicodedata.category(character)[0] in "CZ"


def vm_directory(name: str, instance_uuid: str) -> str:
    """The virtual directory of a VM. The uuid tells VMs of one name apart."""
    return f"{ROOT}/{safe(name)}.{instance_uuid.replace('-', '')[:8]}"


def called(directory: str) -> str:
    """What people call a node: the last part of its directory."""
    return directory.rpartition("/")[2]


def is_ours(path: str) -> bool:
    """Whether a virtual path (without a restore's where=) lies below a VM's directory."""
    return path.startswith(ROOT + "/") and path.count("/") > ROOT.count("/") + 1


def vm_of(path: str) -> str:
    """Which VM a virtual path belongs to: the part of its directory's name that never changes."""
    directory = path[len(ROOT) + 1 :].partition("/")[0]
    return directory.rpartition(".")[2]


def snapshot_directory(
    parent: str, snapshot_id: int, name: str, taken: Collection[str] = ()
) -> str:
    """The directory of a user snapshot below that of its base; never one of those `taken`."""
    wanted = f"{parent}/s{snapshot_id:04d}-{safe(name)}"
    number, directory = 1, wanted
    while directory in taken:
        number += 1
        directory = f"{wanted}.{number}"
    return directory


def state_directory(parent: str, point: str) -> str:
    """The directory of the VM's own state at a time point."""
    return f"{parent}/state-{point}"


def segment(directory: str, slot: str, point: str) -> str:
    """The virtual file of the disk in `slot` ("scsi0-0") at a node."""
    return f"{directory}/{slot}.{point}{SEGMENT_SUFFIX}"


def manifest(vm: str, point: str) -> str:
    """The manifest file of a time point, below the VM's directory `vm`."""
    return f"{vm}/manifest.{point}{MANIFEST_SUFFIX}"


def nvram(vm: str, point: str) -> str:
    """The file with the VM's NVRAM at a time point, below the VM's directory `vm`."""
    return f"{vm}/{point}{NVRAM_SUFFIX}"


def is_segment(path: str) -> bool:
    """Whether a virtual path (without a restore's where=) is a segment's."""
    return path.startswith(ROOT + "/") and path.endswith(SEGMENT_SUFFIX)


def manifest_timepoint(path: str) -> str | None:
    """The time point a manifest file's name tells, None for any other file."""
    pattern = r"/manifest\.([^/]+)" + re.escape(MANIFEST_SUFFIX)
    found = re.search(pattern + "$", path)
    return found.group(1) if found and path.startswith(ROOT + "/") else None
