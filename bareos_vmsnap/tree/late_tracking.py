# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Was change tracking of a disk started while a snapshot existed?

VMware does not support that. Since vSphere 6.5 the changes reported from then on may be incomplete,
without an error (Veritas, article 100033481). It shows: an ancestor without a change
id, or with one of another UUID, is older than the tracking. What was seen once is remembered, by
the UUID, as long as jobs build upon each other: the snapshot may be deleted, the tracking stays
what it is. Only when CBT is reset does it begin anew, with a new UUID.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from bareos_vmsnap.tree import cbt_trust, model, segment_header
from bareos_vmsnap.tree.observed import Observed, Snapshot

_DELETED = "CBT was enabled while a snapshot existed that was deleted since"


def reason(
    tree: model.BlockTree,
    observed: Observed,
    base: Optional[segment_header.Node],
    child: Snapshot,
    disk: segment_header.Disk,
) -> Optional[str]:
    """Why no change id of `disk` at `child` may be used, or None if tracking began in time.

    Every snapshot above `child` counts that exists today, what `tree` remembers, and everything
    that the node `base` was built upon in it: a snapshot that was deleted since was there when
    tracking began.
    """
    live = _live(observed, child, disk)
    if live is not None:
        return live
    if _uuid(disk) in tree.late_tracking.get(disk.identity, ()):
        return _DELETED
    saved = {s.node: s for s in tree.segments.values() if s.disk == disk.key and s.base_change_id}
    if any(_began(tree, node, saved.get(node.id), disk) for node in _lineage(tree, base)):
        return _DELETED
    return None


def known(tree: model.BlockTree, observed: Observed) -> dict[str, tuple[str, ...]]:
    """What is to be remembered of the disks that exist today, as BlockTree.late_tracking.

    `tree` holds all that the previous job's did, and the nodes that are new.
    """
    today = (*observed.snapshots, observed.state)
    found = {
        disk.identity: set(tree.late_tracking.get(disk.identity, ()))
        for snapshot in today
        for disk in snapshot.disks
    }
    for snapshot in today:
        for disk in snapshot.disks:
            uuid = _uuid(disk)
            if uuid is not None and _live(observed, snapshot, disk) is not None:
                found[disk.identity].add(uuid)
    saved = {(s.node, s.disk): s for s in tree.segments.values() if s.base_change_id}
    for node in tree.nodes.values():
        for disk in node.disks:
            segment = saved.get((node.id, disk.key))
            uuid = _uuid(disk) if segment is None else _uuid_of(segment.change_id)
            if disk.identity in found and uuid is not None and _began(tree, node, segment, disk):
                found[disk.identity].add(uuid)
    return {identity: tuple(sorted(uuids)) for identity, uuids in found.items() if uuids}


def _live(observed: Observed, child: Snapshot, disk: segment_header.Disk) -> Optional[str]:
    """Why tracking began after a snapshot above `child` that exists today, or None."""
    for above in _above(observed, child):
        found = above.disk(disk.key)
        there = found is not None and found.identity == disk.identity
        if not above.change_tracking or (there and _uuid(found) is None):
            return f"CBT was enabled while the snapshot {above.name!r} existed"
        if there and _uuid(found) != _uuid(disk):
            return f"CBT was started anew while the snapshot {above.name!r} existed"
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
