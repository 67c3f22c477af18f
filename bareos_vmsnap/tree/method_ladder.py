# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Choosing a method for an edge: the cheapest that can be trusted, with the reason.

A segment must be the exact difference between its node and its base. CBT is cheap but not always
right: see cbt_trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Optional

from bareos_vmsnap import method_names
from bareos_vmsnap.tree import cbt_trust

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


def rungs(
    base: Optional[cbt_trust.End], child: cbt_trust.End, policy: Policy, doubt: Optional[str] = None
) -> tuple[Rung, ...]:
    """The methods to try for a disk of a node whose base still exists, best first.

    `base` is the same virtual disk at the base, or None if there is none; `doubt` is why CBT cannot
    be trusted that the two ends do not show.
    """
    if base is None:
        return (Rung(method_names.ALLOCATED, "nothing to build upon"),)
    reason = cbt_trust.distrust(base, child) or doubt
    if reason is None:
        trusted = Rung(method_names.CBT, "change ids of snapshot and base agree")
        return (trusted, *_fallback(base, child, policy, "CBT gave no answer"))
    return _fallback(base, child, policy, reason)


def no_link(base: cbt_trust.End, child: cbt_trust.End) -> Optional[str]:
    """Why the child's own file does not hold its difference from the base, or None if it does.

    A snapshot deleted in between may have left an unnamed file in the chain.
    """
    if child.disk.chain[:1] != (base.disk.path,):
        return "the base's file is not the direct parent of the snapshot's own"
    if base.disk.capacity != child.disk.capacity:
        return "the disk's size changed"
    return None


def _fallback(
    base: cbt_trust.End, child: cbt_trust.End, policy: Policy, reason: str
) -> tuple[Rung, ...]:
    if policy.without_cbt == FAIL:
        return ()
    if policy.without_cbt != method_names.LINK:
        return (Rung(policy.without_cbt, reason),)
    refused = no_link(base, child)
    if refused is not None:
        return (Rung(method_names.COMPARE, f"{reason}; no link: {refused}"),)
    return (Rung(method_names.LINK, reason), Rung(method_names.COMPARE, reason))


def remembered(base: Optional[cbt_trust.End], timepoint: str) -> tuple[Rung, ...]:
    """The only method if the base is a deleted backup snapshot, whose change id is remembered."""
    if base is None:
        return (Rung(method_names.ALLOCATED, "the disk is new since the base"),)
    return (Rung(method_names.CBT, f"change id remembered from {timepoint}"),)
