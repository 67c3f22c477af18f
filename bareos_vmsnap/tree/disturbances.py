# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Events after which CBT may not know all that has changed.

A disk that was detached may have been written elsewhere; a crash of the host may have lost changes
that were not noted on disk yet. A new UUID shows the latter as a rule, but nobody promises it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.tree import segment_header

# How far a snapshot's creation time may be from that of an event of the same moment: the host, which
# sets the former, and vCenter, which dates events, have separate clocks.
CLOCKS = datetime.timedelta(minutes=30)


@dataclass(frozen=True)
class Disturbance:
    """What happened and when (ISO 8601 in UTC).

    It concerns the disk with the device key `key`, or those that have the file `path`, or, if both
    are missing, all disks.
    """

    when: str
    what: str
    key: Optional[int] = None
    path: Optional[str] = None

    def concerns(self, disk: segment_header.Disk) -> bool:
        """Whether the disk may have changes that CBT does not know."""
        if self.key is None and self.path is None:
            return True
        return disk.key == self.key or self.path in (disk.path, *disk.chain)


def reason(
    found: Iterable[Disturbance], since: str, until: str, disk: segment_header.Disk
) -> Optional[str]:
    """Why no change id of a moment may be used for a disk at a later one (both ISO 8601), or None
    if nothing is known to have happened in between.
    """
    for each in found:
        begin, end = _moment(since) - CLOCKS, _moment(until) + CLOCKS
        if begin <= _moment(each.when) <= end and each.concerns(disk):
            return f"since the base was taken {each.what}"
    return None


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
