# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A backup job of one VM: snapshot, walk, segments, manifest, snapshot deleted."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Optional

from pyVmomi import vim

from bareos_vmsnap import errors
from bareos_vmsnap.fd import connection, items, previous, summary
from bareos_vmsnap.fd.backup_snapshot import BackupSnapshot
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.lock import VmLock
from bareos_vmsnap.fd.messages import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.progress import Progress
from bareos_vmsnap.fd.relocation import RelocationBlock
from bareos_vmsnap.fd.segment_files import SegmentFiles
from bareos_vmsnap.fd.segment_queue import SegmentQueue
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import ForkServerClient
from bareos_vmsnap.tree import ladder, manifest, model, names, plan_backup
from bareos_vmsnap.tree.observed import Observed
from bareos_vmsnap.vsphere import cbt, disk_paths, layout, nvram, preflight, snapshots, tasks

MOVER_TIMEOUT = 60  # seconds a mover may take to end once its data was read


class VmBackup:
    """Backs up one VM. Use: begin(), then every item of offer(), then end(); close() always."""

    def __init__(
        self,
        options: Options,
        job_info: JobInfo,
        log: JobLog,
        pieces: manifest.Pieces,
        done: Collection[str] = (),
    ) -> None:
        """`pieces`: restore objects of the previous job; `done`: the VMs this job has saved."""
        self._options = options
        self._pieces = pieces
        self._done = done
        self.instance_uuid = ""
        self._job_info = job_info
        self._log = log
        self._policy = ladder.Policy(options.without_trust)
        self._lock: Optional[VmLock] = None
        self._session: Optional[Any] = None
        self._vm: Any = None
        self._relocation: Optional[RelocationBlock] = None
        self._backup: Optional[BackupSnapshot] = None
        self._segments: Optional[SegmentFiles] = None
        self._plan: Optional[plan_backup.BackupPlan] = None
        self._segment_queue: Optional[SegmentQueue] = None
        self._progress: Optional[Progress] = None
        self._launcher = ForkServerClient()

    def begin(self) -> None:
        """Log in, examine the VM, take the backup snapshot, plan.

        Raises errors.VmsnapError; close() undoes what was done by then.
        """
        # Where no process can be started now, the first mover tells.
        with contextlib.suppress(client.MoverError):
            self._launcher.prepare()
        self._session = connection.connect(self._options)
        job_info = self._job_info
        access = connection.disk_access(
            self._options, self._session, job_info.working_directory, job_info.unique_name
        )
        content = self._session.content
        self._vm = connection.find_vm(content, self._options)
        name = self._vm.name
        found = preflight.check(self._vm, content)
        for warning in found.warnings:
            self._log.warn(*warning)
        identity = snapshots.identity(self._vm)
        self.instance_uuid = identity.instance_uuid
        if self.instance_uuid in self._done:
            raise errors.OptionError(
                f"Two Plugin lines of the FileSet name the same VM, {name}",
                todo="Remove one",
                id="vm-twice",
            )
        self._lock = VmLock(self._job_info.working_directory, identity.instance_uuid, name)
        tree = previous.find(self._pieces, identity, self._options, self._job_info, self._log)
        waiter = tasks.Waiter(self._job_info.cancel)
        disk_paths.refuse_moving(self._vm)
        self._backup = BackupSnapshot(self._vm, waiter, self._job_info, self._log)
        self._backup.remove_leftovers(self._options)
        self._relocation = RelocationBlock(self._options, access, job_info, self._log)
        self._relocation.start(self._vm, content)
        # One may have begun meanwhile, and goes on to its end.
        disk_paths.refuse_moving(self._vm)
        self._backup.enable_cbt(self._options)
        taken = self._backup.take(self._options)
        observed = snapshots.observe(self._session, self._vm, taken)
        self._segments = SegmentFiles(
            self._session,
            self._vm,
            access,
            self._options,
            self._job_info.cancel,
            self._log.warn,
            self._launcher,
        )
        self._plan = self._planned(observed, tree)
        self._follow(self._plan, self._segments)
        count = len(observed.snapshots)
        self._log.info(
            f"VM {name}: {count} user snapshot{'' if count == 1 else 's'} and the current state, "
            f"{len(self._plan.tasks)} segments, time point {self._plan.point.id}"
        )

    def _follow(self, plan: plan_backup.BackupPlan, segments: SegmentFiles) -> None:
        """Queue the planned segments; what their files take is a guess at what they will send."""
        self._segment_queue = SegmentQueue(
            plan.tasks, lambda task: segments.make(task, plan), self._launcher
        )
        sizes = layout.disk_sizes(self._vm)
        expected = {
            task.segment.name: min(sizes.get(task.disk.path, 0), task.disk.capacity)
            for task in plan.tasks
        }
        name = plan.tree.vm.name
        self._progress = Progress(expected, lambda text: self._log.info(f"VM {name}: {text}"))

    def offer(self) -> Iterator[items.Item]:
        """What to offer to Bareos, each item made when it is asked for."""
        assert self._plan is not None and self._session is not None and self._segments is not None
        tree, point = self._plan.tree, self._plan.point
        content = nvram.read(self._session, self._vm)
        if content is not None:
            point = dataclasses.replace(point, nvram=names.nvram(tree.directory, point.id))
            tree.timepoints[point.id] = point
            assert point.nvram is not None
            yield items.ContentFile(point.nvram, content)
        while (item := self._queue().take()) is not None:
            yield item
        missing = [t.segment.name for t in self._plan.tasks if t.segment.name not in tree.segments]
        if missing:
            raise errors.BackupError(
                f"Segments were not taken by Bareos: {', '.join(missing)}", id="segments-not-taken"
            )
        yield items.ContentFile(names.manifest(tree.directory, point.id), manifest.to_json(tree))
        name = names.manifest(tree.directory, point.id)
        for number, piece in enumerate(manifest.to_pieces(tree, name), 1):
            yield items.RestoreObject(name, number, piece)

    def start(self, item: items.SegmentFile) -> client.Mover:
        """Start the mover that delivers this segment's data.

        Raises errors.BackupError, errors.Canceled, disk_paths.DiskMovedError.
        """
        self._check_places(item.reads)
        canceled = self._job_info.cancel.is_set
        mover = self._start(item)
        try:
            mover.wait_ready(client.OPEN_TIMEOUT, tell=self._log.info, canceled=canceled)
        except client.MoverError as error:
            mover.kill()
            if canceled():
                raise errors.Canceled("The backup was canceled") from error
            self._check_places(item.reads)  # that would be why
            raise errors.BackupError(
                f"Segment {item.name} cannot be read: {error}", id="segment-unreadable"
            ) from error
        self._queue().prepare()
        return mover

    def finish(self, item: items.SegmentFile, mover: client.Mover) -> None:
        """The core has read the segment: was it all? Raises errors.BackupError."""
        mover.close_data()
        try:
            report = mover.finish(MOVER_TIMEOUT)
        except client.MoverError as error:
            self._check_places(item.reads)
            raise errors.BackupError(
                f"Segment {item.name} was not saved whole: {error}", id="segment-incomplete"
            ) from error
        self._check_places(item.reads)
        assert self._plan is not None
        for note in report.notes:
            self._log.info(f"{item.name}: {note}")
        moved = report.data_bytes + report.zero_bytes
        if self._progress is not None:
            self._progress.done(item.name, moved, report.stream_bytes)
        counted = item.rung.method == model.CBT
        self._plan.tree.segments[item.name] = plan_backup.sent(
            item.segment,
            item.rung,
            changed=item.changed if counted else moved,
            data=report.data_bytes,
            zero=report.zero_bytes,
            size=report.stream_bytes,
            digest=report.digest,
        )

    def end(self) -> None:
        """All was sent: delete the backup snapshot and tell what was done.

        Raises disk_paths.DiskMovedError.
        """
        assert self._plan is not None and self._backup is not None
        self._check_places((task.snapshot, task.disk) for task in self._plan.tasks)
        table = summary.backup(self._plan.tree, self._plan.point.id)
        self._log.info(f"VM {self._plan.tree.vm.name}, what was sent:{table}")
        self._backup.delete()

    def _check_places(self, reads: Iterable[tuple[str, model.Disk]]) -> None:
        """Raises disk_paths.DiskMovedError where the disks' files are not where they were any more.

        A snapshot that was deleted meanwhile is no matter here: what was read of it before is
        right, and it cannot be read any more.
        """
        assert self._session is not None and self._plan is not None
        wanted = list(reads)
        morefs = [moref for moref, _ in wanted]
        now = self._session.read(vim.vm.Snapshot, morefs, disk_paths.DEVICES)
        for moref, disk in wanted:
            if moref in now:
                disk_paths.check(self._plan.tree.vm.name, now[moref], [disk])

    def needs(self, path: str) -> bool:
        """Whether a virtual file of an earlier job is still needed for this job's time point."""
        return self._plan is not None and path in self._plan.tree.segments

    def close(self) -> None:
        """Delete the backup snapshot where it still stands, let the VM be migrated, log out, free the
        lock.
        """
        if self._segment_queue is not None:
            self._segment_queue.close()
        self._launcher.close()
        if self._backup is not None:
            self._backup.delete()
        if self._relocation is not None:
            self._relocation.release()
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._lock is not None:
            self._lock.release()

    def _queue(self) -> SegmentQueue:
        assert self._segment_queue is not None
        return self._segment_queue

    def _start(self, item: items.SegmentFile) -> client.Mover:
        try:
            return self._queue().start(item)
        except client.MoverError as error:
            raise errors.BackupError(
                f"Segment {item.name} cannot be read: {error}", id="segment-unreadable"
            ) from error

    def _planned(
        self, observed: Observed, tree: Optional[model.BlockTree]
    ) -> plan_backup.BackupPlan:
        """Plan, and plan again without the remembered change ids where CBT refuses them."""
        assert self._session is not None and self._segments is not None
        job = self._job_info.planned()
        if tree is None:
            return plan_backup.plan(observed, job, self._policy)
        content = self._session.content
        past = previous.build_upon(tree, observed, content, self._vm, self._options, self._log)
        planned = plan_backup.plan(observed, job, self._policy, past)
        try:
            for task in planned.tasks:
                self._segments.check_remembered(task)
        except cbt.CbtRefusedError as error:
            self._log.warn(
                "cbt-no-answer",
                f"VM {observed.vm.name}: CBT does not answer since the previous backup "
                f"({error.what}): changes are counted from the VM's snapshot",
                *errors.ids(error),
            )
            past = dataclasses.replace(past, line=None)
            planned = plan_backup.plan(observed, job, self._policy, past)
        return planned
