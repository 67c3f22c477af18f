# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What disks must hold and tracking must say, worked out without any storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

from .helpers import BLOCK, differing


@dataclass
class Moment:
    """The end of an epoch: its change id, and what the disk held then."""

    change_id: str
    content: bytes


@dataclass
class Disk:
    """past: the moments this content has come through since its UUID, each with the blocks written
    from there to the next one. `None` stands for the time before the first moment.
    """

    content: bytearray
    parent: Optional[str] = None
    frozen: bool = False
    past: list[tuple[Optional[Moment], set[int]]] = field(default_factory=lambda: [(None, set())])

    def write(self, offset: int, payload: Union[bytes, int]) -> None:
        data = bytes(payload) if isinstance(payload, int) else payload
        self.content[offset : offset + len(data)] = data
        if data:
            last = (offset + len(data) - 1) // BLOCK
            self.past[-1][1].update(range(offset // BLOCK, last + 1))

    def delta(self, path: str, moment: Moment, new_uuid: bool) -> Disk:
        """A delta on this disk, which was frozen at a moment."""
        if new_uuid:
            everything = set().union(*(written for _, written in self.past))
            return Disk(bytearray(self.content), path, past=[(None, everything)])
        past = [(each, set(written)) for each, written in self.past]
        return Disk(bytearray(self.content), path, past=[*past, (moment, set())])

    def moments(self) -> list[Moment]:
        return [moment for moment, _ in self.past if moment is not None]

    def written_since(self, moment: Optional[Moment]) -> set[int]:
        at = [each for each, _ in self.past].index(moment)
        return set().union(*(written for _, written in self.past[at:]))

    def differs_from(self, moment: Moment) -> set[int]:
        return differing(moment.content, bytes(self.content))
