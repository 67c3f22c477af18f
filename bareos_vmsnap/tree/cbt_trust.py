# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""When CBT may be asked for the changes between two ends of an edge: what their change ids show.

Change ids older than the tracking, of another UUID or of a rolled-back sequence must not be used in
queries: since vSphere 6.5 the host answers these without an error, but wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from bareos_vmsnap.tree import segment_header

_CHANGE_ID = re.compile(r"(?P<uuid>[0-9A-Fa-f][0-9A-Fa-f -]*)/(?P<sequence>[0-9]+)")


@dataclass(frozen=True)
class End:
    """One end of an edge: a disk at a node, whether its VM tracked changes then, and the job that
    restored the node, if any.
    """

    disk: segment_header.Disk
    tracked: bool
    restored_by: Optional[str] = None


def parse_change_id(text: Optional[str]) -> Optional[tuple[str, int]]:
    """Split a change id into its UUID and sequence; None if it is missing or malformed."""
    found = _CHANGE_ID.fullmatch(text or "")
    return (found["uuid"].lower(), int(found["sequence"])) if found else None


def disagree(base: End, child: End) -> Optional[str]:
    """Why CBT cannot be queried with the change ids of `base` and `child`, or None if it can."""
    if not base.tracked:
        return "CBT was off when the base was taken"
    if base.restored_by:
        return f"the base was restored (by {base.restored_by}), which CBT misreports"
    if not child.tracked:
        return "CBT was off when the snapshot was taken"
    ids = parse_change_id(base.disk.change_id), parse_change_id(child.disk.change_id)
    for which, end, parsed in (("base", base, ids[0]), ("snapshot", child, ids[1])):
        if parsed is None:
            text = end.disk.change_id
            return f"the {which} has " + (
                f"a malformed change id {text!r}" if text else "no change id"
            )
    assert ids[0] and ids[1]
    if ids[0][0] != ids[1][0]:
        return "the change ids have different UUIDs (CBT was reset in between)"
    if ids[1][1] <= ids[0][1]:
        return f"the change id's sequence does not rise ({ids[0][1]} to {ids[1][1]})"
    if base.disk.capacity != child.disk.capacity:
        return "the disk's size changed"
    return None


def distrust(base: End, child: End) -> Optional[str]:
    """Why CBT from `base` to its live child cannot be trusted, or None if it can."""
    reason = disagree(base, child)
    if reason is None and base.disk.path not in child.disk.chain:
        return "the base's file is not in the disk's backing chain"
    return reason
