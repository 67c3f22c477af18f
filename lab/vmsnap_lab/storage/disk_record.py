# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the storage knows of a disk file beyond the file itself: a JSON file beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap_lab.storage.cbt_epochs import Track
from vmsnap_lab.storage.errors import StorageError

_VERSION = 1


@dataclass(frozen=True)
class DiskRecord:
    """frozen: a delta was made on the disk; its content changes no more.

    track: what was written when, or None while changes are not tracked.
    sequences: in the record of a chain's root, the highest number used so far of each UUID.
    absorbing: the child whose data is being merged into this disk, whose own content is lost.
    """

    frozen: bool = False
    track: Track | None = None
    sequences: Mapping[str, int] = field(default_factory=dict)
    absorbing: str | None = None


def file_beside(disk: Path) -> Path:
    return disk.with_name(disk.name + ".json")


def unfinished(file: Path) -> Path:
    """Where a file is written before it gets its name."""
    return file.with_name(f".{file.name}.unfinished")


def is_unfinished(file: Path) -> bool:
    return file.name.startswith(".") and file.suffix == ".unfinished"


def read(disk: Path) -> DiskRecord | None:
    """The record of a disk file, or None. Raises StorageError "corrupt"."""
    file = file_beside(disk)
    if not file.exists():
        return None
    try:
        data = json.loads(file.read_text())
        if data["version"] != _VERSION:
            raise ValueError(f"version {data['version']}")
        track = Track.from_json(data["track"]) if data["track"] else None
        return DiskRecord(data["frozen"], track, data["sequences"], data["absorbing"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError("corrupt", f"{file.name} cannot be read: {error}") from error


def write(disk: Path, record: DiskRecord) -> None:
    """Store a record; who reads meanwhile, or after a kill, finds the old one or the new one."""
    data = {
        "version": _VERSION,
        "frozen": record.frozen,
        "track": record.track.to_json() if record.track else None,
        "sequences": dict(record.sequences),
        "absorbing": record.absorbing,
    }
    file = file_beside(disk)
    unfinished(file).write_text(json.dumps(data, separators=(",", ":")))
    os.replace(unfinished(file), file)
