# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The life of the backup snapshot: whatever happens, it is deleted."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors, system_errors
from bareos_vmsnap.fd import daemon_identity
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.tree import lineage
from bareos_vmsnap.tree.observed import Observed
from bareos_vmsnap.vsphere import markers, preflight, snapshots, tasks
from bareos_vmsnap.vsphere.patience import Patience
from bareos_vmsnap.vsphere.session import SessionError

# Faults of a reconfiguration that somebody else's work on the VM is in the way of.
_IN_THE_WAY = (
    vim.fault.TaskInProgress,
    vim.fault.ConcurrentAccess,
    vim.fault.InvalidState,
)
# Seconds for which the cleanup waits for the end of a task that may yet take the snapshot.
_CREATION_PATIENCE = 300.0
_WITHOUT_MARKER = "The next job counts the changes of the VM's state from its snapshot"


class BackupSnapshot:
    """Takes and deletes one VM's backup snapshot, and deletes those dead jobs left behind."""

    def __init__(self, vm: Any, waiter: tasks.Waiter, job_info: JobInfo, log: JobLog) -> None:
        self._vm = vm
        self._vm_name = vm.name
        self._waiter = waiter
        self._job_info = job_info
        self._log = log
        self._name = markers.backup_name(job_info.unique_name)
        self._daemon = daemon_identity.find(job_info.host, job_info.working_directory)
        self._to_delete = False
        self._marker: Optional[str] = None
        self._without_marker: Optional[str] = None
        self._taken: Optional[str] = None
        self._unended: Optional[Any] = None  # the task that was to take it, if its end is not known
        self._unanswered = False  # the request for it may have arrived

    def remove_leftovers(self, options: Options) -> None:
        """Delete backup snapshots of dead jobs; another daemon's only with remove_leftovers=all.

        The VM's lock is held, so a snapshot of this daemon belongs to no living job.
        """
        for found in snapshots.leftovers(self._vm):
            if found.daemon.id != self._daemon.id and options.remove_leftovers != "all":
                raise errors.PreflightError(
                    f"VM {self._vm_name} has the backup snapshot of job {found.job}, taken by "
                    f"{self._named(found.daemon)}: another backup may be running",
                    left="nothing, the VM was not touched",
                    todo="If no such job runs, delete that snapshot or set remove_leftovers=all",
                    id="leftover-of-others",
                )
            self._log.warn(
                "leftover-deleted",
                f"VM {self._vm_name}: deleting the backup snapshot that job {found.job} left behind",
            )
            self._delete(found.moref, found.name)

    def enable_cbt(self, options: Options) -> None:
        """Enable changed block tracking if that is allowed and safe, else log why there is none.

        vSphere does not support enabling it while a snapshot exists, and answers wrongly then.
        """
        reason = preflight.tracking_warning(self._vm)
        if reason is None:
            return
        if not self._vm.capability.changeTrackingSupported or not options.enable_cbt:
            text = f"{reason.text}: changes are found by comparing disks, which takes longer"
            self._log.warn(reason.id, text)
            return
        if self._vm.snapshot is not None:
            self._log.warn(
                "cbt-not-enabled",
                f"{reason.text} and it has snapshots, so it must not be enabled now: changes are found "
                "by comparing disks. Enabling it once no snapshot exists makes backups faster",
            )
            return
        spec = vim.vm.ConfigSpec(changeTrackingEnabled=True)
        doing = f"Enabling changed block tracking of VM {self._vm_name}"
        self._waiter.wait(self._vm.ReconfigVM_Task(spec), doing)
        self._log.info(f"Enabled changed block tracking of VM {self._vm_name}")

    def mark(self, content: Any, options: Options, needed: Optional[str] = None) -> None:
        """Leave this job's marker in the VM's configuration, for the next job to find.

        `needed`: the marker of the job that this one builds on, which must not be forgotten. If that is not possible the job goes on, and says so. Raises errors.Canceled.
        """
        lacking = preflight.marker_warning(self._vm, content)
        if lacking is None:
            marker = markers.new_backup()
            try:
                self._write(marker, needed, options)
                self._marker = marker
                return
            except (tasks.TaskFailedError, tasks.EndUnknownError) as error:
                fault = error.fault if isinstance(error, tasks.TaskFailedError) else None
                if not isinstance(fault, vim.fault.NoPermission):
                    self._without_marker = lineage.REFUSED  # nor trusted, should it come yet
                    text = f"{error} {_WITHOUT_MARKER}"
                    self._log.warn("marker-not-written", text, *errors.ids(error))
                    return
                lacking = preflight.no_marker(self._vm, content)
        self._without_marker = lineage.PRIVILEGE
        self._log.warn(*lacking)

    def marked(self, observed: Observed) -> Observed:
        """What was observed, with this job's marker if it proves anything."""
        if self._marker is not None and not lineage.proves(observed, self._marker):
            self._marker, self._without_marker = None, lineage.DISTURBED
            self._log.warn(
                "marker-not-written",
                f"Somebody took a snapshot of VM {self._vm_name} or reverted it while its backup "
                f"snapshot was being taken, so that the job's marker proves nothing. {_WITHOUT_MARKER}",
            )
        return dataclasses.replace(
            observed, marker=self._marker, without_marker=self._without_marker
        )

    def take(self, options: Options) -> snapshots.Taken:
        """Take the snapshot and return it.

        Another file daemon may have taken one at the same moment. The one whose snapshot is older
        goes on: the other one's hangs below it, and is none of the time point. Raises
        errors.PreflightError, tasks.TaskFailedError, tasks.EndUnknownError, errors.Canceled.
        """
        self._to_delete = True
        try:
            taken = snapshots.take(
                self._vm,
                self._waiter,
                self._name,
                markers.backup_description(self._daemon),
                quiesce=options.quiesce,
                retries=options.snapshot_retries,
                wait=options.snapshot_retry_wait,
                cancel=self._job_info.cancel,
                warn=self._log.warn,
            )
        except tasks.EndUnknownError as error:
            self._unended = error.task
            raise
        except SessionError:
            self._unanswered = True
            raise
        self._taken = taken.moref
        for found in snapshots.leftovers(self._vm, not_below=taken.moref):
            if self._is_ours(found):  # of an attempt that was reported as failed
                self._delete(found.moref, found.name)
                continue
            raise errors.PreflightError(
                f"Another backup of VM {self._vm_name} began at the same moment: job {found.job} of "
                f"{self._named(found.daemon)} has a backup snapshot",
                left="nothing, our own backup snapshot is deleted",
                todo="Run the job again when that one has ended; schedule the VM's jobs apart",
                id="backups-at-once",
            )
        return taken

    def delete(self) -> None:
        """Delete the snapshot that was taken, whatever its name is by now.

        So is every other snapshot of this job: an attempt may have taken one although it was
        reported as failed. Never raises: each failure becomes an error message, since the data is
        saved by then.
        """
        if not self._to_delete:
            return
        self._to_delete = False
        this, other = (f"{a} snapshot {self._name!r}" for a in ("The backup", "Another backup"))
        patience = Patience()
        unknown = self._await_creation()
        found = None if self._taken is None else self._try_delete(this, self._taken, patience)
        try:
            others = [
                left.moref
                for left in patience.call(lambda: snapshots.leftovers(self._vm))
                if self._is_ours(left) and left.moref != self._taken
            ]
        except Exception as error:  # noqa: BLE001 - the job log gets it
            if self._taken is None:
                self._report_left(this, error)
                unknown = None
            elif found is not None:  # else that was reported, and the cause is the same
                self._report_left(f"{other}, if there is one,", error)
            others = []
        for moref in others:
            self._try_delete(this if self._taken is None else other, moref, patience)
        if unknown is not None and not others:
            self._report_left(f"{this}, if there is or will be one,", unknown)
        if found is False:
            self._log.error(
                "backup-snapshot-not-found",
                f"The backup snapshot {self._name!r} of VM {self._vm_name} was not there any more "
                "when it was to be deleted: somebody else deleted it",
            )

    def _await_creation(self) -> Optional[Exception]:
        """Wait for the tasks that may yet take the snapshot; why their end is not known, if so."""
        doing = f"Taking the snapshot {self._name!r} of VM {self._vm_name}"
        try:
            if self._unended is not None:
                self._taken = self._ended(self._unended, doing)._moId
            elif self._unanswered:
                for task in tasks.under_way(self._vm, "createSnapshot"):
                    self._ended(task, doing)  # it may be somebody else's
        except tasks.TaskFailedError as failed:
            return failed if failed.id == "task-late" else None
        except Exception as error:  # noqa: BLE001 - the job log gets it
            return error
        return None

    def _ended(self, task: Any, doing: str) -> Any:
        return self._waiter.wait(task, doing, timeout=_CREATION_PATIENCE, heed_cancel=False)

    def _try_delete(self, which: str, moref: str, patience: Patience) -> Optional[bool]:
        """Whether it was there; None if it could not be deleted, which is logged."""
        try:
            return self._delete(moref, self._name, patience)
        except Exception as error:  # noqa: BLE001 - the job log gets it
            self._report_left(which, error)
            return None

    def _report_left(self, which: str, error: Exception) -> None:
        cause = (
            tasks.describe(error)
            if isinstance(error, vmodl.MethodFault)
            else system_errors.translated(error)
        )
        self._log.error(
            "backup-snapshot-left",
            f"{which} of VM {self._vm_name} could not be deleted: {cause}. "
            "The next job of this VM will delete it",
            *errors.ids(error),
        )

    def _write(self, marker: str, needed: Optional[str], options: Options) -> None:
        """Write the marker; again after pauses while somebody else works on the VM.

        Raises tasks.TaskFailedError, errors.Canceled.
        """
        doing = f"Marking VM {self._vm_name}"
        retries, wait = options.snapshot_retries, options.snapshot_retry_wait
        for attempt in range(retries + 1):
            try:
                config = self._vm.config
                if marker in markers.backups(config):
                    return  # written by a request whose answer was lost
                spec = markers.backup_spec(config, marker, needed)
                self._waiter.wait(self._vm.ReconfigVM_Task(spec), doing)
                return
            except vmodl.MethodFault as fault:
                failure = tasks.TaskFailedError(doing, fault)
            except tasks.TaskFailedError as failed:
                failure = failed
            if attempt == retries or not isinstance(failure.fault, _IN_THE_WAY):
                raise failure
            if self._job_info.cancel.wait(wait):
                raise errors.Canceled(f"{doing} was interrupted: the job was canceled")

    def _delete(self, moref: str, name: str, patience: Optional[Patience] = None) -> bool:
        """Whether it was there."""
        patience = patience or Patience()
        snapshot = patience.call(lambda: snapshots.find(self._vm, moref))
        if snapshot is None:
            return False
        try:
            snapshots.delete(self._vm, snapshot, name, self._waiter, patience)
        except vmodl.fault.ManagedObjectNotFound:  # deleted since
            return False
        return True

    def _is_ours(self, found: markers.Leftover) -> bool:
        return found.daemon.id == self._daemon.id and found.name == self._name

    def _named(self, daemon: markers.FileDaemon) -> str:
        also = " as well" if daemon.host == self._daemon.host else ""
        return f"the file daemon {daemon.id} on {daemon.host}{also}"
