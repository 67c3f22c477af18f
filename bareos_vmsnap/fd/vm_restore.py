# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The restore of one VM: rebuilds the tree while its segments stream in."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from typing import Optional

from bareos_vmsnap import errors
from bareos_vmsnap.fd import summary, targets
from bareos_vmsnap.fd.disk_writers import DiskWriters
from bareos_vmsnap.fd.file_spool import FileSpool
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.receivers import Receiver, ToDisk, ToSpool
from bareos_vmsnap.fd.restore_planning import PlannedRestore, RestorePlanning
from bareos_vmsnap.fd.selected_manifests import SelectedManifests
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import Launcher
from bareos_vmsnap.mover.plan import WritePlan
from bareos_vmsnap.target.base import Target
from bareos_vmsnap.target.steps import perform
from bareos_vmsnap.tree import model, names, plan_restore, segment_header


class VmRestore:
    """Restores one VM.

    Use: wanted(), open() and received() for each file, then end(). A segment that comes before its
    turn waits in the spool; without restore objects (a VirtualFull loses them), or if a damaged one
    may be that of the newest time point, all segments wait for the last manifest file.
    """

    def __init__(
        self,
        options: Options,
        job_info: JobInfo,
        log: JobLog,
        manifests: SelectedManifests,
        launcher: Launcher,
    ) -> None:
        """`manifests`: of this VM, with the restore objects of the selected jobs."""
        self._options = options
        self._job_info = job_info
        self._log = log
        self._planning = RestorePlanning(options, log, manifests)
        self._objects_examined = False
        self._plan: Optional[PlannedRestore] = None
        self._steps: list[plan_restore.Step] = []
        self._needed: frozenset[str] = frozenset()
        self._target: Optional[Target] = None
        self._spool = FileSpool(job_info.working_directory, job_info.jobid)
        self._writers = DiskWriters(self._write_plan, launcher)
        self._restored: list[tuple[segment_header.Segment, client.Report]] = []

    def wanted(self, path: str) -> bool:
        """Whether the restore needs this file. Raises errors.VmsnapError."""
        if not self._objects_examined:
            self._objects_examined = True
            self._adopt(self._planning.from_objects())
        if self._plan is None:
            return names.is_virtual(path)
        self._planning.look_for_newer(path, self._plan)
        return path in self._needed

    def open(self, path: str) -> Receiver:
        """Prepare for the file's data. Raises errors.VmsnapError."""
        write = self._next_write(path)
        if write is not None:
            return self._to_disk(write)
        if names.is_segment(path) and not any(map(names.is_segment, self._spool.names())):
            self._log.info(
                "Segments that come before their turn are kept in the working directory, "
                f"{self._job_info.working_directory}, until it comes"
            )
        return ToSpool(self._spool, path)

    def received(self, receiver: Receiver) -> None:
        """The file's data has come: do what that makes possible.

        Raises errors.VmsnapError if it is damaged or vSphere refuses.
        """
        receiver.finish()
        self._drain_spool()

    def end(self) -> None:
        """No more files come: complete the restore.

        Raises errors.VmsnapError, also if files are missing.
        """
        if self._plan is None:
            self._adopt(self._planning.from_files(self._spool))
        plan, vm = self._planned.plan, self._planned.tree.vm
        self._drain_spool()
        unwritten = [s.segment.name for s in self._steps if isinstance(s, plan_restore.Write)]
        missing = [name for name in unwritten if name not in self._spool.names()]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise errors.RestoreError(
                f"VM {vm.name}: {len(missing)} of {len(plan.segments)} segments did not come: "
                + ", ".join(missing[:5])
                + more,
                todo="Select them too: the VM's whole directory, of every job since its last full. "
                "Or choose a time point the selection holds with restore_timepoint, or have the "
                "files as they are with restore_target=files",
                id="segments-missing",
            )
        self._run_until_write()
        target = self._opened()
        if plan.point.nvram is not None:
            self._restore_nvram(target, plan.point.nvram)
        place = target.finish()
        later = ", ".join(sorted(self._planning.later))
        if later:
            self._log.warn(
                "later-files-skipped",
                f"VM {vm.name}: files of later time points were passed over, since neither "
                f"their restore objects nor their manifests came: {later}",
            )
        self._target = None  # from now on there is nothing to abandon
        with contextlib.closing(target):
            self._log.info(f"Time point {plan.point.id}: {place}{self._table()}")

    def abandon(self) -> str:
        """The restore failed: keep or remove what is incomplete; return what was left, if any."""
        target, self._target = self._target, None
        left = []
        with contextlib.ExitStack() as stack:
            if target is not None:
                keep = self._options.restore_on_failure == "keep"
                stack.callback(target.close)
                stack.callback(lambda: left.append(target.abandon(keep=keep)))
            self._writers.close()
        return "".join(left)

    def close(self) -> None:
        """End what runs and remove spool files, all of it, whatever one step does; safe to call
        again.
        """
        target, self._target = self._target, None
        with contextlib.ExitStack() as stack:
            stack.callback(self._spool.close)
            if target is not None:
                stack.callback(target.close)
            self._writers.close()

    def _adopt(self, plan: Optional[PlannedRestore]) -> None:
        if plan is not None:
            self._plan, self._needed, self._steps = plan, plan.needed, list(plan.plan.steps)

    @property
    def _planned(self) -> PlannedRestore:
        assert self._plan is not None
        return self._plan

    def _next_write(self, path: str) -> Optional[plan_restore.Write]:
        """The write of this segment if its node's turn has come, else None."""
        return next((w for w in self._next_writes() if w.segment.name == path), None)

    def _next_writes(self) -> list[plan_restore.Write]:
        """The remaining writes of the node whose turn it is."""
        writes = [step for step in self._steps if isinstance(step, plan_restore.Write)]
        return [write for write in writes if write.segment.node == writes[0].segment.node]

    def _to_disk(self, write: plan_restore.Write) -> ToDisk:
        """Bring the leaf to where the segment belongs and start the mover that writes it."""
        self._run_until_write()
        segment = write.segment
        try:
            mover = self._writers.start(write)
        except client.MoverError as error:
            raise errors.RestoreError(
                f"{segment.name} cannot be written: {error}", id="segment-unwritable"
            ) from error
        try:
            mover.wait_ready(
                client.OPEN_TIMEOUT, inform=self._log.info, canceled=self._job_info.cancel.is_set
            )
        except client.MoverError as error:
            mover.kill()
            if self._job_info.cancel.is_set():
                raise errors.Canceled("The restore was canceled") from error
            label = self._disk(segment).label
            raise errors.RestoreError(
                f"{label} cannot be written: {error}", id="segment-unwritable"
            ) from error
        try:
            # Now that the disk is open: what could change it unnoticed, an open disk prevents.
            self._opened().check()
        except BaseException:
            mover.kill()
            raise
        self._writers.prepare(next((w for w in self._next_writes() if w is not write), None))
        return ToDisk(segment.name, mover, lambda report: self._written(write, report))

    def _write_plan(self, write: plan_restore.Write) -> WritePlan:
        """A plan to write this segment into the leaf as it is now."""
        tree, segment, disk = self._planned.tree, write.segment, self._disk(write.segment)
        node = tree.nodes[segment.node]
        return WritePlan(
            target=self._opened().describe(disk),
            capacity=segment.capacity,
            expect=segment_header.SegmentIdentity.of(tree.vm, node, disk, segment),
            drop_zeros=write.fresh,
            readback=self._options.restore_readback,
            requests_in_flight=self._options.requests_in_flight,
            request_size=self._options.request_size,
            rate_limit=self._options.rate_limit,
        )

    def _disk(self, segment: segment_header.Segment) -> segment_header.Disk:
        disk = self._planned.tree.nodes[segment.node].disk(segment.disk)
        if disk is None:
            raise errors.RestoreError(
                f"Segment {segment.name} is of a disk its node does not have",
                id="segment-of-no-disk",
            )
        return disk

    def _written(self, write: plan_restore.Write, report: client.Report) -> None:
        segment = write.segment
        if segment.digest and report.digest != segment.digest:
            raise errors.RestoreError(
                f"Segment {segment.name} is not the one the manifest speaks of: its digest is "
                f"{report.digest}, not {segment.digest}",
                id="segment-another",
            )
        self._steps.remove(write)
        self._restored.append((segment, report))
        while self._steps and isinstance(self._steps[0], plan_restore.TakeSnapshot):
            self._do(self._steps.pop(0))

    def _run_until_write(self) -> None:
        while self._steps and not isinstance(self._steps[0], plan_restore.Write):
            self._do(self._steps.pop(0))

    def _do(self, step: plan_restore.Step) -> None:
        if self._job_info.cancel.is_set():
            raise errors.Canceled("The restore was canceled")
        target, tree = self._opened(), self._planned.tree
        if isinstance(step, plan_restore.TakeSnapshot):
            step = dataclasses.replace(step, description=self._description(step, tree))
        perform(step, target, tree)
        if isinstance(step, plan_restore.TakeSnapshot) and not step.helper:
            self._log.info(f"Snapshot {step.name!r} stands")
        # Snapshots freeze the NVRAM too: one that can boot is better than none.
        nvram = self._planned.plan.point.nvram if isinstance(step, plan_restore.Create) else None
        if nvram is not None and nvram.name in self._spool.names():
            self._restore_nvram(target, nvram)

    def _description(self, step: plan_restore.TakeSnapshot, tree: model.BlockTree) -> str:
        """The description, with the time of creation if requested: vSphere cannot set that."""
        if step.helper or not self._options.restore_created:
            return step.description
        return f"{step.description}\nTaken {tree.nodes[step.node].created}".strip()

    def _opened(self) -> Target:
        if self._target is None:
            tree, point = self._planned.tree, self._planned.plan.point
            self._target = targets.make(self._options, tree, point, self._job_info, self._log)
        return self._target

    def _drain_spool(self) -> None:
        """Apply spooled segments whose turn has come, until there are no more."""
        while True:
            turns = ((name, self._next_write(name)) for name in self._spool.names())
            ready = next(((name, write) for name, write in turns if write is not None), None)
            if ready is None:
                return
            name, write = ready
            receiver = self._to_disk(write)
            with self._spool.open(name) as source:
                receiver.feed(source)
            receiver.finish()
            self._spool.drop(name)

    def _restore_nvram(self, target: Target, nvram: model.NvramFile) -> None:
        if nvram.name not in self._spool.names():
            self._log.warn(
                "nvram-not-selected",
                f"{nvram.name} was not selected: the VM starts with a new NVRAM",
            )
            return
        with self._spool.open(nvram.name) as source:
            content = source.read()
        if hashlib.sha256(content).hexdigest() != nvram.sha256:
            raise errors.RestoreError(
                f"{nvram.name} is damaged: its digest is not the one in the manifest",
                todo="Leave this file out of the selection to have the VM with a new NVRAM",
                id="nvram-damaged",
            )
        target.nvram(content)

    def _table(self) -> str:
        rows = []
        for segment, report in self._restored:
            node = self._planned.tree.nodes[segment.node]
            disk = node.disk(segment.disk)
            sizes = summary.size(report.data_bytes), summary.size(report.zero_bytes)
            slot = disk.slot if disk else ""
            rows.append((names.called(node.directory), slot, segment.method, *sizes))
        return summary.table(("node", "disk", "method", "data", "zero"), rows)
