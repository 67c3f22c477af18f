# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Names of the virtual files: directories mirror the snapshot tree.

A name never changes its meaning: every file's name contains the time point at which it was saved.
If several jobs share a name, Bareos restores only the newest version.
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
_COMPONENT = 60  # bytes kept of a snapshot's name, so that 32 levels still give a usable path


def timepoint(taken: datetime.datetime, jobid: int) -> str:
    """The id of the time point saved by job `jobid` at `taken` (an aware datetime)."""
    return f"{taken.astimezone(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-j{jobid}"


def jobid(point: str) -> int | None:
    """The Bareos job that saved the time point with this id, None if the id does not contain it."""
    found = re.search(r"-j(\d{1,18})$", point)
    return int(found.group(1)) if found else None


def taken(point: str) -> str | None:
    """When the time point with this id was taken, as ISO 8601; None if the id does not tell."""
    # Not by strptime(): it fails in all but the first interpreter of a process that uses it.
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-j\d+", point)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        moment = datetime.datetime(
            year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc
        )
    except ValueError:
        return None
    return moment.isoformat()


def safe(name: str) -> str:
    """`name` for use in a path component that is easy to type: no slash, blank or control."""
    kept = "".join("_" if _awkward(c) else c for c in name)
    short = kept.encode()[:_COMPONENT].decode(errors="ignore")
    return short.strip(".") or "_"


def _awkward(character: str) -> bool:
    return character in "/\\\"'*?[]:" or unicodedata.category(character)[0] in "CZ"


def vm_directory(name: str, instance_uuid: str) -> str:
    """The virtual directory of a VM. The whole instance UUID is in it.

    Of the first digits one vCenter varies few: among some hundred VMs two would share them.
    """
    return f"{ROOT}/{safe(name)}.{_digits(instance_uuid)}"


def is_directory_of(directory: str, instance_uuid: str) -> bool:
    """Whether a VM's directory is that of the VM with this UUID, whatever name it had then."""
    return vm_of(directory) == _digits(instance_uuid)


def _digits(instance_uuid: str) -> str:
    return instance_uuid.replace("-", "").lower()


def called(directory: str) -> str:
    """A node's short name: the last part of its directory."""
    return directory.rpartition("/")[2]


def without_where(path: str) -> str:
    """The virtual path of a file, without the `where` that a restore may have put before it."""
    at = path.find(ROOT + "/")
    return path[at:] if at >= 0 else path


def is_virtual(path: str) -> bool:
    """Whether a path lies below ROOT, like everything this plugin saves."""
    return path.startswith(ROOT + "/")


def is_ours(path: str) -> bool:
    """Whether a virtual path (without a restore's where=) lies below a VM's directory."""
    return is_virtual(path) and path.count("/") > ROOT.count("/") + 1


def vm_of(path: str) -> str:
    """The VM that a virtual path belongs to: the digits of its instance UUID.

    They are the part of its directory's name that never changes.
    """
    directory = path[len(ROOT) + 1 :].partition("/")[0]
    return directory.rpartition(".")[2]


def snapshot_directory(
    parent: str, snapshot_id: int, name: str, taken: Collection[str] = ()
) -> str:
    """The directory of a user snapshot below that of its base; never one of `taken`."""
    preferred = f"{parent}/s{snapshot_id:04d}-{safe(name)}"
    number, directory = 1, preferred
    while directory in taken:
        number += 1
        directory = f"{preferred}.{number}"
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


def saved_at(path: str) -> str | None:
    """The time point in the name of a virtual file, None if there is none in it."""
    name = path.rpartition("/")[2]
    suffixes = (SEGMENT_SUFFIX, MANIFEST_SUFFIX, NVRAM_SUFFIX)
    suffix = next((suffix for suffix in suffixes if name.endswith(suffix)), None)
    if suffix is None or not is_virtual(path):
        return None
    return name[: -len(suffix)].rpartition(".")[2] or None


def is_segment(path: str) -> bool:
    """Whether a virtual path (without a restore's where=) is that of a segment."""
    return is_virtual(path) and path.endswith(SEGMENT_SUFFIX)


def manifest_timepoint(path: str) -> str | None:
    """The time point in a manifest file's name, None for any other file."""
    pattern = r"/manifest\.([^/]+)" + re.escape(MANIFEST_SUFFIX)
    found = re.search(pattern + "$", path)
    return found.group(1) if found and is_virtual(path) else None
