# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The backup of one VM: snapshot, plan, segments, manifest, snapshot deleted."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors, method_names
from bareos_vmsnap.fd import items, previous_backup, summary, vcenter_connection
from bareos_vmsnap.fd.backup_snapshot import BackupSnapshot
from bareos_vmsnap.fd.cleanup_steps import undo
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.lock import VmLock
from bareos_vmsnap.fd.methods.disk_reader import DiskReader
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.progress import Progress
from bareos_vmsnap.fd.relocation import RelocationBlock
from bareos_vmsnap.fd.segment_files import SegmentFiles
from bareos_vmsnap.fd.segment_queue import SegmentQueue
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import ForkServerClient
from bareos_vmsnap.transport.access import Access
from bareos_vmsnap.tree import (
    manifest,
    method_ladder,
    model,
    names,
    plan_backup,
    restore_objects,
    segment_header,
)
from bareos_vmsnap.tree.observed import Observed
from bareos_vmsnap.vsphere import (
    cbt,
    disk_paths,
    history,
    layout,
    nvram,
    preflight,
    snapshots,
    tasks,
)
from bareos_vmsnap.vsphere.session import Session


def begin(
    options: Options,
    job_info: JobInfo,
    log: JobLog,
    pieces: restore_objects.Pieces,
    done: Collection[str] = (),
) -> VmBackup:
    """Log in, examine the VM, take the backup snapshot, plan.

    `pieces`: restore objects of the previous job; `done`: instance UUIDs of the VMs this job has
    saved. Raises errors.VmsnapError; what was done by then is undone.
    """
    with contextlib.ExitStack() as stack:
        launcher = ForkServerClient()
        stack.callback(undo, log.error, "Ending the mover's server", launcher.close)
        # If no process can be started now, the first mover fails with the reason.
        with contextlib.suppress(client.MoverError):
            launcher.prepare()
        session = vcenter_connection.connect(options)
        stack.callback(undo, log.error, "Logging out of vCenter", session.close)
        vm = vcenter_connection.find_vm(session.content, options)
        warnings = preflight.check(vm, session.content).warnings
        for warning in warnings:
            log.warn(*warning)
        identity = snapshots.identity(vm)
        if identity.instance_uuid in done:
            raise errors.OptionError(
                f"Two Plugin lines of the FileSet name the same VM, {vm.name}, or two VMs with the "
                f"instance UUID {identity.instance_uuid}",
                todo="Remove one, or give one of the VMs another UUID",
                id="vm-twice",
            )
        lock = VmLock(job_info.working_directory, identity.instance_uuid, vm.name)
        stack.callback(undo, log.error, "Freeing the VM's lock", lock.release)
        tree = previous_backup.find(pieces, identity, options, job_info, log)
        directory, name = job_info.working_directory, job_info.unique_name
        access = vcenter_connection.disk_access(options, session, directory, name)
        snapshot, taken, content = _snapshot(
            options, job_info, log, session, vm, access, tree, stack
        )
        observed = snapshot.marked(snapshots.observe(session, vm, taken))
        for warning in _left_out(observed):
            if warning not in warnings:
                log.warn(*warning)
        reader = DiskReader(session, vm, access, options, job_info.cancel, launcher)
        segments = SegmentFiles(reader, log.warn)
        planner = _Planner(options, job_info, log, session, vm, segments)
        plan = planner.plan(observed, tree)
        queue = SegmentQueue(plan.tasks, lambda task: segments.make(task, plan), launcher)
        stack.callback(undo, log.error, "Ending the movers", queue.close)
        progress = _progress(plan, vm, log)
        backup = VmBackup(
            job_info,
            log,
            session,
            vm,
            snapshot,
            observed,
            plan,
            queue,
            progress,
            content,
            stack.pop_all(),
        )
    count = len(observed.snapshots)
    log.info(
        f"VM {vm.name}: {count} user snapshot{'' if count == 1 else 's'} and the current state, "
        f"{len(plan.tasks)} segments, time point {plan.point.id}"
    )
    return backup


def _snapshot(
    options: Options,
    job_info: JobInfo,
    log: JobLog,
    session: Session,
    vm: Any,
    access: Access,
    previous_tree: Optional[model.BlockTree],
    stack: contextlib.ExitStack,
) -> tuple[BackupSnapshot, snapshots.Taken, Optional[bytes]]:
    """Take the backup snapshot, with relocations of the VM blocked; the stack undoes both.

    The last item is the content of the VM's NVRAM file at that moment, if it has one.
    """
    disk_paths.refuse_moving(vm)
    snapshot = BackupSnapshot(vm, tasks.Waiter(job_info.cancel), job_info, log)
    snapshot.remove_leftovers(options)
    relocation = RelocationBlock(options, access, job_info, log)
    stack.callback(undo, log.error, "Letting vCenter migrate the VM", relocation.release)
    relocation.start(vm, session.content)
    # A relocation may have begun meanwhile, and runs to its end.
    disk_paths.refuse_moving(vm)
    snapshot.enable_cbt(options)
    needed = previous_tree.point.marker if previous_tree is not None else None
    snapshot.mark(session.content, options, needed)
    stack.callback(undo, log.error, "Deleting the backup snapshot", snapshot.delete)
    before = nvram.read(session, vm)
    taken = snapshot.take(options)
    return snapshot, taken, _frozen_nvram(before, session, vm, taken, log)


def _frozen_nvram(
    before: Optional[bytes], session: Session, vm: Any, taken: snapshots.Taken, log: JobLog
) -> Optional[bytes]:
    """The NVRAM at the backup snapshot: no API reads the one that a snapshot freezes.

    It is certain if what was read before and after is the same.
    """
    after = nvram.read(session, vm)
    if after == before:
        return after
    reverted = taken.moref not in snapshots.path(vm)
    log.warn(
        "nvram-changed",
        f"The NVRAM of VM {vm.name} changed while its backup snapshot was taken: what is saved is "
        + (
            "that of just before, as the VM was reverted since"
            if reverted
            else "that of just after"
        ),
    )
    return before if reverted else after


def _left_out(observed: Observed) -> Iterator[errors.Notice]:
    """The disks that are saved with no snapshot, or not with all: they may have changed since."""
    vm = observed.vm.name
    now = observed.state.left_out
    for text in now:
        yield errors.Notice("disk-skipped", f"VM {vm}: {text}")
    for snapshot in observed.snapshots:
        for text in snapshot.left_out:
            if text not in now:
                yield errors.Notice("disk-skipped", f"VM {vm}: at {snapshot.name!r}, {text}")


def _progress(plan: plan_backup.BackupPlan, vm: Any, log: JobLog) -> Progress:
    """Estimate what will be sent by the size of the segments' files on the datastores."""
    sizes = layout.disk_sizes(vm)
    expected = {
        task.segment.name: min(sizes.get(task.disk.path, 0), task.disk.capacity)
        for task in plan.tasks
    }
    name = plan.tree.vm.name
    return Progress(expected, lambda text: log.info(f"VM {name}: {text}"))


class _Planner:
    """Plans, and plans again without the remembered change ids if CBT refuses them."""

    def __init__(
        self,
        options: Options,
        job_info: JobInfo,
        log: JobLog,
        session: Session,
        vm: Any,
        segments: SegmentFiles,
    ) -> None:
        self._options = options
        self._job = job_info.planned()
        self._cancel = job_info.cancel
        self._log = log
        self._content = session.content
        self._vm = vm
        self._segments = segments
        self._policy = method_ladder.Policy(options.without_trust, options.use_cbt)

    def plan(self, observed: Observed, tree: Optional[model.BlockTree]) -> plan_backup.BackupPlan:
        if tree is None:
            return plan_backup.plan(self._disturbed(observed, None), self._job, self._policy)
        past = previous_backup.build_upon(
            tree, observed, self._content, self._vm, self._options, self._log, self._cancel
        )
        observed = self._disturbed(observed, past)
        planned = plan_backup.plan(observed, self._job, self._policy, past)
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
            observed = self._disturbed(observed, past)
            planned = plan_backup.plan(observed, self._job, self._policy, past)
        return planned

    def _disturbed(self, observed: Observed, past: Optional[plan_backup.Previous]) -> Observed:
        """With what the event history tells of disks that will be asked for by CBT."""
        since = plan_backup.oldest_base(observed, past)
        if since is None or not observed.state.change_tracking:
            return observed
        try:
            found = history.find_disturbances(self._content, self._vm, since)
        except vmodl.MethodFault as fault:
            self._log.info(
                f"VM {observed.vm.name}: vSphere's event history cannot be read "
                f"({tasks.describe(fault)}), so that it cannot tell when CBT must not be trusted"
            )
            return observed
        return dataclasses.replace(observed, disturbances=found)


class VmBackup:
    """The running backup of one VM, made by begin(): its snapshot exists, all is planned.

    Use: every item of offer(), then end(); close() always.
    """

    def __init__(
        self,
        job_info: JobInfo,
        log: JobLog,
        session: Session,
        vm: Any,
        snapshot: BackupSnapshot,
        observed: Observed,
        plan: plan_backup.BackupPlan,
        queue: SegmentQueue,
        progress: Progress,
        nvram: Optional[bytes],
        stack: contextlib.ExitStack,
    ) -> None:
        """`nvram`: the content of the VM's NVRAM file, if it has one. `stack` undoes what begin() did."""
        self.instance_uuid = plan.tree.vm.instance_uuid
        self._job_info = job_info
        self._log = log
        self._session = session
        self._vm = vm
        self._snapshot = snapshot
        self._names = {each.moref: each.name for each in (*observed.snapshots, observed.state)}
        self._plan = plan
        self._queue = queue
        self._stack = stack
        self._progress = progress
        self._nvram = nvram

    def offer(self) -> Iterator[items.Item]:
        """The items to offer to Bareos, each made when it is asked for."""
        tree, point = self._plan.tree, self._plan.point
        if self._nvram is not None:
            name, digest = names.nvram(tree.directory, point.id), hashlib.sha256(self._nvram)
            file = model.NvramFile(name, digest.hexdigest())
            tree.timepoint = point = dataclasses.replace(point, nvram=file)
            yield items.ContentFile(name, self._nvram)
        while (item := self._queue.take()) is not None:
            yield item
        missing = [t.segment.name for t in self._plan.tasks if t.segment.name not in tree.segments]
        if missing:
            raise errors.BackupError(
                f"Segments were not taken by Bareos: {', '.join(missing)}", id="segments-not-taken"
            )
        yield items.ContentFile(names.manifest(tree.directory, point.id), manifest.to_json(tree))
        name = names.manifest(tree.directory, point.id)
        for number, piece in enumerate(restore_objects.to_pieces(tree, name), 1):
            yield items.RestoreObject(name, number, piece)

    def start(self, item: items.SegmentFile) -> client.Mover:
        """Start the mover that delivers this segment's data.

        Raises errors.BackupError, errors.Canceled, and what _check_places() raises.
        """
        self._check_places(item.reads, reading=True)
        canceled = self._job_info.cancel.is_set
        mover = self._start(item)
        try:
            mover.wait_ready(client.OPEN_TIMEOUT, inform=self._log.info, canceled=canceled)
        except client.MoverError as error:
            mover.kill()
            if canceled():
                raise errors.Canceled("The backup was canceled") from error
            self._check_places(item.reads, reading=True)  # that would be why
            raise errors.BackupError(
                f"Segment {item.name} cannot be read: {error}", id="segment-unreadable"
            ) from error
        self._queue.prepare()
        return mover

    def finish(self, item: items.SegmentFile, mover: client.Mover) -> None:
        """The core has read the segment: check that it was whole.

        Raises errors.BackupError, and what _check_places() raises.
        """
        mover.close_data()
        try:
            report = mover.finish(client.READ_END_TIMEOUT)
        except client.MoverError as error:
            self._check_places(item.reads, reading=True)
            raise errors.BackupError(
                f"Segment {item.name} was not saved whole: {error}", id="segment-incomplete"
            ) from error
        self._check_places(item.reads, reading=True)
        for note in report.notes:
            self._log.info(f"{item.name}: {note}")
        moved = report.data_bytes + report.zero_bytes
        self._progress.done(item.name, moved, report.stream_bytes)
        counted = item.rung.method == method_names.CBT
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
        """All was sent: log a summary and delete the backup snapshot.

        Raises what _check_places() raises.
        """
        self._check_places((task.snapshot, task.disk) for task in self._plan.tasks)
        table = summary.backup(self._plan.tree, self._plan.point.id)
        self._log.info(f"VM {self._plan.tree.vm.name}, what was sent:{table}")
        self._snapshot.delete()

    def _check_places(
        self, reads: Iterable[tuple[str, segment_header.Disk]], *, reading: bool = False
    ) -> None:
        """Check that the disks' files are where they were.

        `reading`: and that these snapshots exist and no file below theirs was merged, as what is
        read of a snapshot counts only if it is there when all was read. Afterwards a snapshot that
        is deleted does not matter. Raises disk_paths.DiskMovedError,
        disk_paths.SnapshotDeletedError.
        """
        places = list(reads)
        vm = self._plan.tree.vm.name
        morefs = list(dict.fromkeys(moref for moref, _ in places))
        now = self._session.read(vim.vm.Snapshot, morefs, disk_paths.DEVICES)
        gone = [self._names[moref] for moref in morefs if moref not in now]
        if reading and gone:
            raise disk_paths.SnapshotDeletedError(vm, self._deleted() or gone)
        try:
            for moref, disk in places:
                if moref in now:
                    disk_paths.check(vm, now[moref], [disk], chains=reading)
        except disk_paths.DiskMovedError as error:
            deleted = self._deleted()
            if deleted:
                raise disk_paths.SnapshotDeletedError(vm, deleted) from error
            raise

    def _deleted(self) -> list[str]:
        """The names of the snapshots that were there when the tree was read, and are no more."""
        there = {item.moref for item in snapshots.walk(self._vm)}
        return [name for moref, name in self._names.items() if moref not in there]

    def needs(self, path: str) -> bool:
        """Whether a virtual file of an earlier job is still needed for this job's time point."""
        return path in self._plan.tree.segments

    def close(self) -> None:
        """Undo what begin() did: delete the backup snapshot if it still exists, allow migrations of
        the VM, end the session, free the VM's lock. Safe to call again.
        """
        self._stack.close()

    def _start(self, item: items.SegmentFile) -> client.Mover:
        try:
            return self._queue.start(item)
        except client.MoverError as error:
            raise errors.BackupError(
                f"Segment {item.name} cannot be read: {error}", id="segment-unreadable"
            ) from error
