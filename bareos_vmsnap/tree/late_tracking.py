# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Was change tracking of a disk started while a snapshot existed?

VMware does not support that. Since vSphere 6.5 the changes reported from then on may be incomplete,
without an error (Veritas, article 100033481). It shows: an ancestor without a change
id, or with one of another UUID, is older than the tracking.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from bareos_vmsnap.tree import cbt_trust, model, segment_header
from bareos_vmsnap.tree.observed import Observed, Snapshot


def reason(
    tree: model.BlockTree,
    observed: Observed,
    base: Optional[segment_header.Node],
    child: Snapshot,
    disk: segment_header.Disk,
) -> Optional[str]:
    """Why no change id of `disk` at `child` may be used, or None if tracking began in time.

    Every snapshot above `child` counts that exists today, and everything that the node `base` was
    built upon in `tree`: a snapshot that was deleted since was there when tracking began.
    """
    for above in _above(observed, child):
        found = above.disk(disk.key)
        there = found is not None and found.identity == disk.identity
        if not above.change_tracking or (there and _uuid(found) is None):
            return f"CBT was enabled while the snapshot {above.name!r} existed"
        if there and _uuid(found) != _uuid(disk):
            return f"CBT was started anew while the snapshot {above.name!r} existed"
    saved = {s.node: s for s in tree.segments.values() if s.disk == disk.key and s.base_change_id}
    if any(_began(tree, node, saved.get(node.id), disk) for node in _lineage(tree, base)):
        return "CBT was enabled while a snapshot existed that was deleted since"
    return None


def _above(observed: Observed, child: Snapshot) -> Iterator[Snapshot]:
    by_moref = {snapshot.moref: snapshot for snapshot in observed.snapshots}
    at = child.parent
    while at is not None:
        yield by_moref[at]
        at = by_moref[at].parent


def _lineage(
    tree: model.BlockTree, node: Optional[segment_header.Node]
) -> Iterator[segment_header.Node]:
    while node is not None:
        yield node
        node = tree.nodes.get(node.base) if node.base is not None else None


def _began(
    tree: model.BlockTree,
    node: segment_header.Node,
    saved: Optional[segment_header.Segment],
    disk: segment_header.Disk,
) -> bool:
    """Whether tracking of the disk began between the node and its base.

    `saved` is the node's segment: it has the base's change id as it was when the node was saved.
    """
    base = tree.nodes.get(node.base) if node.base is not None else None
    ends = [end.disk(disk.key) if end is not None else None for end in (base, node)]
    if base is None or any(end is None or end.identity != disk.identity for end in ends):
        return False
    uuids = [_uuid(end) for end in ends]
    if saved is not None:
        uuids = [_uuid_of(saved.base_change_id), _uuid_of(saved.change_id)]
    return not base.change_tracking or uuids[0] is None or uuids[0] != uuids[1]


def _uuid(disk: Optional[segment_header.Disk]) -> Optional[str]:
    return _uuid_of(disk.change_id) if disk is not None else None


def _uuid_of(change_id: Optional[str]) -> Optional[str]:
    parsed = cbt_trust.parse_change_id(change_id)
    return parsed[0] if parsed else None
