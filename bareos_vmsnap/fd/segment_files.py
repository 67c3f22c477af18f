# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""From planned segments to virtual files: down the ladder of methods until one answers."""

from __future__ import annotations

from bareos_vmsnap import errors
from bareos_vmsnap.fd import items
from bareos_vmsnap.fd.methods import METHODS, DiskEdge
from bareos_vmsnap.fd.methods.audit import CbtWrongError
from bareos_vmsnap.fd.methods.disk_reader import DiskReader
from bareos_vmsnap.fd.methods.link import NoLinkError
from bareos_vmsnap.tree import method_ladder, names, plan_backup
from bareos_vmsnap.vsphere import cbt

_OVERHEAD = 4096  # bytes of a segment's header and trailer, for its expected size


class SegmentFiles:
    """Makes the segment files of one VM's backup; `warn` gets what an admin should look at."""

    def __init__(self, reader: DiskReader, warn: errors.Warn) -> None:
        self._reader = reader
        self._warn = warn

    def make(self, task: plan_backup.Task, plan: plan_backup.BackupPlan) -> items.SegmentFile:
        """The segment's file, by the first method that answers.

        Raises errors.BackupError if no method may be used, errors.Canceled.
        """
        refused: list[str] = []
        for rung in task.rungs:
            reason = "; ".join([rung.reason, *refused])
            try:
                return self._try(task, method_ladder.Rung(rung.method, reason), plan)
            except CbtWrongError as error:
                self._warn(error.id, f"{_place(task)}: {error.what}")
                refused.append(error.what)
            except (cbt.CbtRefusedError, NoLinkError) as error:
                refused.append(error.what)
        raise errors.BackupError(
            f"{_place(task)}: CBT cannot be used ({'; '.join(refused) or task.distrust}) and "
            "fallback_to_full_cbt=no forbids another way",
            todo="Set fallback_to_full_cbt=yes, or reset CBT once no snapshot exists",
            id="fallback-forbidden",
        )

    def check_remembered(self, task: plan_backup.Task) -> None:
        """Ask CBT what changed since the previous backup.

        Raises cbt.CbtRefusedError, errors.Canceled.
        """
        change_id = task.segment.base_change_id
        if task.remembered and change_id is not None:
            self._reader.ask_ahead(task.snapshot, task.disk, change_id)

    def _try(
        self, task: plan_backup.Task, rung: method_ladder.Rung, plan: plan_backup.BackupPlan
    ) -> items.SegmentFile:
        draft = plan_backup.sent(task.segment, rung)
        found = METHODS[rung.method](DiskEdge(task, plan.header(draft), self._reader), rung)
        segment = plan_backup.sent(task.segment, found.rung)
        edge = DiskEdge(task, plan.header(segment), self._reader)
        reads = [(task.snapshot, task.disk)]
        if found.base is not None and edge.base is not None:
            reads.append(edge.base)
        return items.SegmentFile(
            segment,
            found.rung,
            edge.plan(found),
            found.extents,
            found.changed,
            found.changed + _OVERHEAD,
            tuple(reads),
        )


def _place(task: plan_backup.Task) -> str:
    disk = task.disk
    return f"{disk.label} ({disk.slot}) at {names.called(task.segment.name.rpartition('/')[0])}"
