# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking of one disk file, as VMware keeps it in a -ctk file per delta.

Time is cut into *epochs*, numbered per UUID. An epoch starts when its delta is made and ends when
the next delta is made on that one; the change id "UUID/n" is the moment in which epoch n ended.
A track says which blocks of its file were written in which epoch, and so it moves with the data
when a delta is merged into its parent.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vmsnap_lab.storage.blockruns import join
from vmsnap_lab.storage.errors import StorageError

BLOCK = 64 * 1024

Runs = tuple[tuple[int, int], ...]
"""(first, count) of blocks, ascending, neither overlapping nor touching."""

_CHANGE_ID = re.compile(
    r"([0-9a-f]{2}(?: [0-9a-f]{2}){7})-([0-9a-f]{2}(?: [0-9a-f]{2}){7})/([0-9]{1,18})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Track:
    """sequence: the epoch that runs now, or the last one of a frozen file.

    epochs: every epoch of this file, also empty ones. broken: those whose record was lost.
    late: those that ran on top of a file that this UUID does not track, as when tracking is
    enabled while a snapshot exists.
    """

    uuid: str
    sequence: int
    epochs: Mapping[int, Runs]
    broken: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()

    @classmethod
    def start(cls, in_use: Iterable[tuple[int, int]], *, late: bool = False) -> Track:
        """A new UUID at sequence 1, whose first epoch holds the blocks `in_use`."""
        first = frozenset({1}) if late else frozenset()
        return cls(uuid.uuid4().hex, 1, {1: tuple(join(in_use))}, late=first)

    def follow(self, sequence: int, *, late: bool = False) -> Track:
        """The track of a delta made on this file."""
        own = frozenset({sequence}) if late else frozenset()
        return Track(self.uuid, sequence, {sequence: ()}, late=own)

    def written(self, runs: Iterable[tuple[int, int]]) -> Track:
        """This track with blocks written in its last epoch."""
        joined = tuple(join(self.epochs[self.sequence], runs))
        return replace(self, epochs={**self.epochs, self.sequence: joined})

    def broke(self) -> Track:
        """This track with the record of its last epoch lost."""
        return replace(self, broken=self.broken | {self.sequence})

    def since(self, sequence: int, *, late: bool | None = None) -> Runs:
        """The blocks written after the end of an epoch (0: ever), in late epochs only or in others
        only if `late` says so.

        Raises StorageError "corrupt" if the record of one of these epochs was lost.
        """
        if any(number > sequence for number in self.broken):
            raise StorageError("corrupt", "the change tracking data is corrupt")
        later = [
            runs
            for number, runs in self.epochs.items()
            if number > sequence and late in (None, number in self.late)
        ]
        return tuple(join(*later))

    def change_id(self) -> str:
        pairs = re.findall("..", self.uuid)
        return f"{' '.join(pairs[:8])}-{' '.join(pairs[8:])}/{self.sequence}"

    def to_json(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "sequence": self.sequence,
            "epochs": {str(number): runs for number, runs in self.epochs.items()},
            "broken": sorted(self.broken),
            "late": sorted(self.late),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Track:
        epochs = {int(n): tuple((a, b) for a, b in runs) for n, runs in data["epochs"].items()}
        broken, late = frozenset(data["broken"]), frozenset(data.get("late", ()))
        return cls(data["uuid"], data["sequence"], epochs, broken, late)


def blocks_of(areas: Iterable[tuple[int, int]]) -> Runs:
    """The blocks that sorted (start, length) in bytes touch."""
    touched = ((s // BLOCK, -(-(s + n) // BLOCK) - s // BLOCK) for s, n in areas if n)
    return tuple(join(touched))


def parse_change_id(change_id: str) -> tuple[str, int]:
    """UUID (32 hex digits) and sequence. Raises StorageError "bad-change-id"."""
    match = _CHANGE_ID.fullmatch(change_id)
    if not match:
        raise StorageError("bad-change-id", f"{change_id!r} is not a change id")
    return (match[1] + match[2]).replace(" ", "").lower(), int(match[3])


def unite(parent: Track | None, child: Track | None) -> Track | None:
    """The track of a parent that took over its child's data.

    A child that was not tracked leaves blocks of unknown age: the parent is not tracked then.
    A child with a UUID of its own knows nothing of the parent's epochs, but had all blocks in use
    noted when its tracking was started: its track alone is the truth.
    """
    if parent is None or child is None or parent.uuid != child.uuid:
        return child
    epochs = dict(parent.epochs)
    for number, runs in child.epochs.items():
        epochs[number] = tuple(join(epochs.get(number, ()), runs))
    broken, late = parent.broken | child.broken, parent.late | child.late
    return Track(child.uuid, child.sequence, epochs, broken, late)
