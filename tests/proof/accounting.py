# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What jobs sent, as their manifests say: for counting and for tests, not for judging restores."""

from __future__ import annotations

from typing import Any, Optional

from bareos_vmsnap.tree import restore_objects
from bareos_vmsnap.vsphere import snapshots
from tests.proof import reference
from tests.proof.jobs import Jobs, Point
from vmsnap_lab.filedaemon import FileDaemon


class Accounting(Jobs):
    """Counts what segments by CBT sent, and how much of it had truly changed."""

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self._nodes: dict[str, reference.Hardware] = {}

    def backup(self, level: str, audit: int = 0, by: int = 0) -> Optional[Point]:
        point = super().backup(level, audit, by)
        if point is not None:
            self._account(point)
        return point

    def last_segments(self) -> dict[str, Any]:
        """What the last job sent, by the node's short name."""
        tree = self._last_manifest()
        sent = [s for s in tree.segments.values() if s.timepoint == tree.point.id]
        return {self.short(segment.node): segment for segment in sent}

    def short(self, node: Optional[str]) -> str:
        """A node's name: that of its snapshot, or "state"."""
        if node is None:
            return ""
        directory = self._last_manifest().nodes[node].directory
        kind, _, name = directory.rsplit("/", 1)[-1].partition("-")
        return "state" if kind == "state" else name.partition(".")[0]

    def _last_manifest(self) -> Any:
        point = self.points[-1]
        return _manifest(self.daemons[point.daemon], point.jobid)

    def _account(self, point: Point) -> None:
        tree = _manifest(self.daemons[point.daemon], point.jobid)
        by_id = {(n.snapshot_id, n.created): n.id for n in tree.nodes.values()}
        for key, item in self.walk(self.vm):
            node = by_id.get((item.id, snapshots.utc(item.createTime)))
            if node is not None:
                self._nodes.setdefault(node, self.machine.snapshots[key].hardware.frozen())
        self._nodes[tree.point.state] = self.machine.hardware.frozen()
        for segment in tree.segments.values():
            base = self._nodes.get(segment.base or "")  # unknown: of a job that was disturbed
            if segment.timepoint == tree.point.id and segment.method == "cbt" and base is not None:
                content = self._nodes[segment.node].disks[segment.disk]
                changed = reference.changed_blocks(base.disks[segment.disk], content)
                self.counts["sent"] += segment.data + segment.zero
                self.counts["changed"] += changed
                self.counts["segments"] += 1


def _manifest(daemon: FileDaemon, jobid: int) -> Any:
    pieces = restore_objects.Pieces()
    for found in daemon.restore_objects(jobid):
        pieces.add(found.data)
    (name,) = pieces.names()
    return pieces.manifest(name)
