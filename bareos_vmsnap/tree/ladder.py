# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Choosing a method for an edge: the cheapest that can be trusted, with the reason.

A segment must be the exact difference between its node and its base. CBT is cheap but not always
right: change ids older than the tracking, of another UUID or of a rolled-back sequence must not be
used in queries (since vSphere 6.5 the host answers these without an error, but wrongly).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Optional

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import segment_header

_CHANGE_ID = re.compile(r"(?P<uuid>[0-9A-Fa-f][0-9A-Fa-f -]*)/(?P<sequence>[0-9]+)")

Fallback = Literal["compare", "full", "link", "fail"]
FAIL: Final = "fail"


@dataclass(frozen=True)
class Policy:
    """What an admin allows: whether CBT is used at all, and what is done if it cannot be.

    The latter is one of `compare` (read both), `full`, `link` (if possible, else compare) and
    `fail`.
    """

    without_cbt: Fallback = method_names.COMPARE
    use_cbt: bool = True


@dataclass(frozen=True)
class Rung:
    """One method to find an edge's extents, and the reason for its place in the order."""

    method: method_names.Method
    reason: str


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


def rungs(
    base: Optional[End], child: End, policy: Policy, doubt: Optional[str] = None
) -> tuple[Rung, ...]:
    """The methods to try for a disk of a node whose base still exists, best first.

    `base` is the same virtual disk at the base, or None if there is none; `doubt` is why CBT cannot
    be trusted that the two ends do not show.
    """
    if base is None:
        return (Rung(method_names.ALLOCATED, "nothing to build upon"),)
    reason = distrust(base, child) or doubt
    if reason is None:
        trusted = Rung(method_names.CBT, "change ids of snapshot and base agree")
        return (trusted, *_fallback(base, child, policy, "CBT gave no answer"))
    return _fallback(base, child, policy, reason)


def no_link(base: End, child: End) -> Optional[str]:
    """Why the child's own file does not hold its difference from the base, or None if it does.

    A snapshot deleted in between may have left an unnamed file in the chain.
    """
    if child.disk.chain[:1] != (base.disk.path,):
        return "the base's file is not the direct parent of the snapshot's own"
    if base.disk.capacity != child.disk.capacity:
        return "the disk's size changed"
    return None


def _fallback(base: End, child: End, policy: Policy, reason: str) -> tuple[Rung, ...]:
    if policy.without_cbt == FAIL:
        return ()
    if policy.without_cbt != method_names.LINK:
        return (Rung(policy.without_cbt, reason),)
    refused = no_link(base, child)
    if refused is not None:
        return (Rung(method_names.COMPARE, f"{reason}; no link: {refused}"),)
    return (Rung(method_names.LINK, reason), Rung(method_names.COMPARE, reason))


def remembered(base: Optional[End], timepoint: str) -> tuple[Rung, ...]:
    """The only method if the base is a deleted backup snapshot, whose change id is remembered."""
    if base is None:
        return (Rung(method_names.ALLOCATED, "the disk is new since the base"),)
    return (Rung(method_names.CBT, f"change id remembered from {timepoint}"),)
