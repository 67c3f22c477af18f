# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From planned segments to what a mover is told: method, extents, endpoints, header."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Iterable
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.fd import audit, items
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import Launcher
from bareos_vmsnap.transport.access import Access, DiskAddress
from bareos_vmsnap.tree import codec, ladder, model, plan_backup
from bareos_vmsnap.vsphere import cbt
from bareos_vmsnap.vsphere.session import Session

GRANULARITY = 65536  # bytes; what compare tells apart, and what CBT is known to track
_OVERHEAD = 4096  # bytes of a segment's header and trailer, for its expected size


class NoLinkError(errors.VmsnapError):
    """A snapshot's own file cannot be opened without its parents."""

    id = "no-link"


class SegmentFiles:
    """Makes the segment files of one VM's backup."""

    def __init__(
        self,
        session: Session,
        vm: Any,
        access: Access,
        options: Options,
        cancel: threading.Event,
        warn: errors.Warn,
        launcher: Launcher,
    ) -> None:
        self._session = session
        self._vm = vm
        self._access = access
        self._options = options
        self._cancel = cancel
        self._warn = warn
        self._launcher = launcher
        self._dice = random.Random()
        self._hosts: dict[str, str] = {}
        # Of questions by snapshot, disk and change id.
        self._answers: dict[tuple[str, int, str], cbt.Extents] = {}

    def make(self, task: plan_backup.Task, plan: plan_backup.BackupPlan) -> items.SegmentFile:
        """Climb down the ladder until a method answers.

        Raises errors.BackupError where none may, errors.Canceled.
        """
        refused: list[str] = []
        for rung in task.rungs:
            reason = "; ".join([rung.reason, *refused])
            try:
                return self._try(task, ladder.Rung(rung.method, reason), plan)
            except (cbt.CbtRefusedError, NoLinkError) as error:
                refused.append(error.what)
        disk = task.disk
        raise errors.BackupError(
            f"{disk.label} ({disk.slot}) at {task.segment.name.rsplit('/', 2)[-2]}: CBT cannot be "
            f"used ({'; '.join(refused) or task.distrust}) and fallback_to_full_cbt=no forbids "
            "another way",
            todo="Set fallback_to_full_cbt=yes, or reset CBT once no snapshot exists",
            id="fallback-forbidden",
        )

    def check_remembered(self, task: plan_backup.Task) -> None:
        """Does CBT answer since the previous backup? The answer is kept until the segment's turn.

        Raises cbt.CbtRefusedError, errors.Canceled.
        """
        change_id = task.segment.base_change_id
        if task.remembered and change_id is not None:
            answer = self._changed_areas(task, change_id)
            self._answers[task.snapshot, task.disk.key, change_id] = answer

    def _changed_areas(self, task: plan_backup.Task, change_id: str) -> cbt.Extents:
        disk = task.disk
        known = self._answers.pop((task.snapshot, disk.key, change_id), None)
        if known is not None:
            return known
        snapshot = self._session.managed(vim.vm.Snapshot, task.snapshot)
        return cbt.changed_areas(
            self._vm, snapshot, disk.key, disk.capacity, change_id, self._cancel
        )

    def _try(
        self, task: plan_backup.Task, rung: ladder.Rung, plan: plan_backup.BackupPlan
    ) -> items.SegmentFile:
        extents: Iterable[tuple[int, int]] = ()
        changed = task.disk.capacity
        base = link = None
        if rung.method == model.CBT:
            assert task.segment.base_change_id is not None
            areas = self._changed_areas(task, task.segment.base_change_id)
            self._audit(task, areas, plan)
            extents, changed = areas, areas.total
        elif rung.method == model.ALLOCATED:
            extents, changed, rung = self._in_use(task, rung)
        elif rung.method == model.COMPARE:
            assert task.base_snapshot is not None and task.base_disk is not None
            base = self._endpoint(task.base_snapshot, task.base_disk)
        elif rung.method == model.LINK:
            link = self._endpoint(task.snapshot, task.disk, single_link=True)
        segment = plan_backup.sent(task.segment, rung)
        told = {
            **self._reading(task, base),
            "header": _header(segment, plan),
            "method": rung.method,
            "keep_zeros": rung.method != model.ALLOCATED,
            "link": link,
        }
        if link is not None:
            self._probe(told)
        reads = [(task.snapshot, task.disk)]
        if base is not None:
            assert task.base_snapshot is not None and task.base_disk is not None
            reads.append((task.base_snapshot, task.base_disk))
        size = changed + _OVERHEAD
        return items.SegmentFile(segment, rung, told, extents, changed, size, tuple(reads))

    def _probe(self, told: dict[str, Any]) -> None:
        """Can the snapshot's own file be opened alone? VMware promises it for local disks only.

        Raises NoLinkError, errors.Canceled.
        """
        if not self._access.opens_single_links:
            raise NoLinkError("no link: transport=nbd needs nbd_link_uri for it")
        with client.Mover.read(told, launcher=self._launcher) as mover:
            try:
                mover.wait_ready(client.OPEN_TIMEOUT, canceled=self._cancel.is_set)
            except client.MoverError as error:
                if self._cancel.is_set():
                    raise errors.Canceled("The backup was canceled") from error
                raise NoLinkError(f"no link: {error.reason}") from error

    def _reading(self, task: plan_backup.Task, base: Optional[dict[str, Any]]) -> dict[str, Any]:
        return {
            "operation": "read",
            "source": self._endpoint(task.snapshot, task.disk),
            "base": base,
            "capacity": task.disk.capacity,
            "compression": self._options.compression,
            "granularity": GRANULARITY,
            "acceleration": self._options.lz4_acceleration,
            "connections": self._options.connections,
            "in_flight": self._options.requests_in_flight,
            "request": self._options.request_size << 10,
            "rate": self._options.rate,
        }

    def _audit(
        self, task: plan_backup.Task, areas: cbt.Extents, plan: plan_backup.BackupPlan
    ) -> None:
        """Compare some blocks CBT calls unchanged, where the base can still be read.

        Raises cbt.CbtRefusedError where one differs: the next method of the ladder is used then.
        """
        if not self._options.audit or task.base_snapshot is None or task.base_disk is None:
            return
        disk = task.disk
        sampled = audit.sample(areas, disk.capacity, self._options.audit, self._dice)
        base = self._endpoint(task.base_snapshot, task.base_disk)
        told = {**self._reading(task, base), "header": _header(task.segment, plan)}
        found = audit.differing(told, sampled, self._cancel, self._launcher)
        if found:
            what = (
                f"the audit found {found} bytes of {len(sampled)} sampled blocks changed that CBT "
                "calls unchanged"
            )
            self._warn(
                "audit-mismatch",
                f"{disk.label} ({disk.slot}) at {task.segment.name.rsplit('/', 2)[-2]}: {what}",
            )
            raise cbt.CbtRefusedError(what, id="audit-mismatch")

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
        except cbt.CbtRefusedError as error:
            note = f"{rung.reason}; CBT does not tell the areas in use ({error.what})"
            return (), task.disk.capacity, ladder.Rung(rung.method, note)
        if areas.covers(task.disk.capacity):
            note = f"{rung.reason}; CBT calls the whole disk in use"
            return (), task.disk.capacity, ladder.Rung(rung.method, note)
        return areas, areas.total, rung

    def _endpoint(
        self, snapshot: str, disk: model.Disk, single_link: bool = False
    ) -> dict[str, Any]:
        address = DiskAddress(
            self._vm._moId, disk.key, disk.path, snapshot, self._host(), single_link
        )
        return self._access.endpoint(address)

    def _host(self) -> str:
        """The name of the host the VM is on, which may change while a job runs."""
        host = self._vm.runtime.host
        if host is None:
            return ""
        if host._moId not in self._hosts:
            self._hosts[host._moId] = host.name
        return self._hosts[host._moId]


def _header(segment: model.Segment, plan: plan_backup.BackupPlan) -> dict[str, Any]:
    """All a segment says of itself: disks can be rebuilt from segment files alone."""
    node = plan.tree.nodes[segment.node]
    live = next((s for s in plan.point.snapshots if s.node == node.id), None)
    return {
        "vm": codec.encode(plan.tree.vm),
        "node": {
            **codec.encode(dataclasses.replace(node, disks=())),
            "name": live.name if live else "",
            "description": live.description if live else "",
        },
        "disk": codec.encode(node.disk(segment.disk)),
        "segment": codec.encode(segment),
    }
