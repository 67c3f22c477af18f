# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A backup job of one VM: snapshot, walk, segments, manifest, snapshot deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.fd import connection, items, summary
from bareos_vmsnap.fd.backup_snapshot import BackupSnapshot
from bareos_vmsnap.fd.facts import JobFacts
from bareos_vmsnap.fd.lock import VmLock
from bareos_vmsnap.fd.messages import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.mover import client
from bareos_vmsnap.transport.access import DiskAddress
from bareos_vmsnap.tree import codec, ladder, manifest, model, names, plan_backup
from bareos_vmsnap.vsphere import cbt, nvram, preflight, snapshots, tasks

GRANULARITY = 65536
MOVER_TIMEOUT = 60  # seconds a mover may take to end once its data was read
_OVERHEAD = 4096  # bytes of a segment's header and trailer, for its expected size


class BackupJob:
    """Backs up one VM. Use: begin(), then every item of offer(), then end(); close() always."""

    def __init__(self, chosen: Options, facts: JobFacts, log: JobLog) -> None:
        self._options = chosen
        self._facts = facts
        self._log = log
        self._policy = ladder.Policy(chosen.without_trust)
        self._lock: Optional[VmLock] = None
        self._session: Optional[Any] = None
        self._vm: Any = None
        self._backup: Optional[BackupSnapshot] = None
        self._plan: Optional[plan_backup.BackupPlan] = None

    def begin(self) -> None:
        """Log in, examine the VM, take the backup snapshot, plan.

        Raises errors.VmsnapError; close() undoes what was done by then.
        """
        self._access = connection.disk_access(self._options)
        self._session = connection.connect(self._options)
        content = self._session.content
        self._vm = connection.find_vm(content, self._options)
        name = self._vm.name
        found = preflight.check(self._vm, content)
        for warning in found.warnings:
            self._log.warn(warning)
        self._lock = VmLock(self._facts.working_directory, self._vm.config.instanceUuid, name)
        waiter = tasks.Waiter(content, self._facts.cancel)
        self._backup = BackupSnapshot(self._vm, waiter, self._facts, self._log)
        self._backup.remove_leftovers(self._options)
        self._backup.enable_cbt(self._options)
        taken = self._backup.take(self._options)
        observed = snapshots.observe(self._vm, taken)
        self._plan = plan_backup.plan(observed, self._facts.planned(), self._policy)
        if self._facts.level != "F":
            self._log.info(
                f"This {self._facts.level_name} of VM {name} does the full work: it sends every "
                "snapshot"
            )
        count = len(observed.snapshots)
        self._log.info(
            f"VM {name}: {count} user snapshot{'' if count == 1 else 's'} and the current state, "
            f"{len(self._plan.tasks)} segments, time point {self._plan.point.id}"
        )

    def offer(self) -> Iterator[items.Item]:
        """What to offer to Bareos, each item made when it is asked for."""
        assert self._plan is not None and self._session is not None
        tree, point = self._plan.tree, self._plan.point
        content = nvram.read(self._session, self._vm)
        if content is not None:
            point = dataclasses.replace(point, nvram=names.nvram(tree.directory, point.id))
            tree.timepoints[point.id] = point
            assert point.nvram is not None
            yield items.ContentFile(point.nvram, content)
        for task in self._plan.tasks:
            yield self._segment(task)
        missing = [t.segment.name for t in self._plan.tasks if t.segment.name not in tree.segments]
        if missing:
            raise errors.BackupError(f"Segments were not taken by Bareos: {', '.join(missing)}")
        yield items.ContentFile(names.manifest(tree.directory, point.id), manifest.to_json(tree))
        for number, piece in enumerate(manifest.to_pieces(tree, point.id), 1):
            yield items.RestoreObject(f"{tree.directory}/{point.id}", number, piece)

    def start(self, item: items.SegmentFile) -> client.Mover:
        """Start the mover that delivers this segment's data."""
        return client.Mover.read(item.plan, item.extents)

    def finish(self, item: items.SegmentFile, mover: client.Mover) -> None:
        """The core has read the segment: was it all? Raises errors.BackupError."""
        mover.close_data()
        try:
            report = mover.finish(MOVER_TIMEOUT)
        except client.MoverError as error:
            raise errors.BackupError(f"Segment {item.name} was not saved whole: {error}") from error
        assert self._plan is not None
        counted = item.rung.method == model.CBT
        self._plan.tree.segments[item.name] = plan_backup.sent(
            item.segment,
            item.rung,
            changed=item.changed if counted else report.data_bytes + report.zero_bytes,
            data=report.data_bytes,
            zero=report.zero_bytes,
            size=report.stream_bytes,
            digest=report.digest,
        )

    def end(self) -> None:
        """All was sent: delete the backup snapshot and tell what was done."""
        assert self._plan is not None and self._backup is not None
        table = summary.backup(self._plan.tree, self._plan.point.id)
        self._log.info(f"VM {self._plan.tree.vm.name}, what was sent:{table}")
        self._backup.delete()

    def close(self) -> None:
        """Delete the backup snapshot where it still stands, free the lock, log out."""
        if self._backup is not None:
            self._backup.delete()
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._lock is not None:
            self._lock.release()

    def _segment(self, task: plan_backup.Task) -> items.SegmentFile:
        """Climb down the ladder until a method answers."""
        refused: list[str] = []
        for rung in task.rungs:
            reason = "; ".join([rung.reason, *refused])
            try:
                return self._try(task, ladder.Rung(rung.method, reason))
            except cbt.CbtRefused as error:
                refused.append(error.what)
        disk = task.disk
        raise errors.BackupError(
            f"{disk.label} ({disk.slot}) at {task.segment.name.rsplit('/', 2)[-2]}: CBT cannot be "
            f"used ({'; '.join(refused) or self._distrust(task)}) and fallback_to_full_cbt=no "
            "forbids another way",
            todo="Set fallback_to_full_cbt=yes, or reset CBT once no snapshot exists",
        )

    def _distrust(self, task: plan_backup.Task) -> str:
        assert self._plan is not None
        tree = self._plan.tree
        node = tree.nodes[task.segment.node]
        base = tree.nodes[node.base] if node.base else None
        if base is None or task.base_disk is None:
            return "no base"
        ends = (
            ladder.End(task.base_disk, base.change_tracking),
            ladder.End(task.disk, node.change_tracking),
        )
        return ladder.distrust(*ends) or "the base was restored"

    def _try(self, task: plan_backup.Task, rung: ladder.Rung) -> items.SegmentFile:
        extents: Iterable[tuple[int, int]] = ()
        changed = task.disk.capacity
        base = None
        if rung.method == model.CBT:
            assert task.base_disk is not None and task.base_disk.change_id is not None
            areas = self._changed_areas(task, task.base_disk.change_id)
            extents, changed = areas, areas.total
        elif rung.method == model.ALLOCATED:
            extents, changed, rung = self._in_use(task, rung)
        elif rung.method == model.COMPARE:
            assert task.base_snapshot is not None and task.base_disk is not None
            base = self._endpoint(task.base_snapshot, task.base_disk)
        segment = plan_backup.sent(task.segment, rung)
        plan = {
            "operation": "read",
            "source": self._endpoint(task.snapshot, task.disk),
            "base": base,
            "header": self._header(segment),
            "capacity": task.disk.capacity,
            "method": rung.method,
            "keep_zeros": rung.method != model.ALLOCATED,
            "compression": self._options.compression,
            "granularity": GRANULARITY,
            "connections": self._options.connections,
        }
        return items.SegmentFile(segment, rung, plan, extents, changed, changed + _OVERHEAD)

    def _in_use(
        self, task: plan_backup.Task, rung: ladder.Rung
    ) -> tuple[Iterable[tuple[int, int]], int, ladder.Rung]:
        """The root's areas in use by CBT; the mover unites them with the allocation map.

        Neither can hide data alone: what one of them calls in use is sent. CBT's "the whole disk"
        is a legal way to say nothing, and only the allocation map counts then.
        """
        if task.disk.change_id is None:
            return (), task.disk.capacity, rung
        try:
            areas = self._changed_areas(task, cbt.STAR)
        except cbt.CbtRefused as error:
            note = f"{rung.reason}; CBT does not tell the areas in use ({error.what})"
            return (), task.disk.capacity, ladder.Rung(rung.method, note)
        if areas.covers(task.disk.capacity):
            note = f"{rung.reason}; CBT calls the whole disk in use"
            return (), task.disk.capacity, ladder.Rung(rung.method, note)
        return areas, areas.total, rung

    def _changed_areas(self, task: plan_backup.Task, change_id: str) -> cbt.Extents:
        assert self._session is not None
        snapshot = self._session.managed(vim.vm.Snapshot, task.snapshot)
        disk = task.disk
        return cbt.changed_areas(
            self._vm, snapshot, disk.key, disk.capacity, change_id, self._facts.cancel
        )

    def _endpoint(self, snapshot: str, disk: model.Disk) -> dict[str, Any]:
        address = DiskAddress(self._vm._moId, disk.key, disk.path, snapshot)
        return self._access.endpoint(address)

    def _header(self, segment: model.Segment) -> dict[str, Any]:
        """All a segment says of itself: disks can be rebuilt from segment files alone."""
        assert self._plan is not None
        tree = self._plan.tree
        node = tree.nodes[segment.node]
        live = next((s for s in self._plan.point.snapshots if s.node == node.id), None)
        told = codec.encode(dataclasses.replace(node, disks=()))
        disk = node.disk(segment.disk)
        return {
            "vm": codec.encode(tree.vm),
            "node": {**told, "name": live.name if live else "", "disks": []},
            "disk": codec.encode(disk),
            "segment": codec.encode(segment),
        }
