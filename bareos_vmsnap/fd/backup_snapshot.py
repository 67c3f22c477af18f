# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The life of the backup snapshot: whatever happens, it is deleted."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.messages import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.vsphere import markers, preflight, snapshots, tasks


class BackupSnapshot:
    """Takes and deletes one VM's backup snapshot, and deletes those dead jobs left behind."""

    def __init__(self, vm: Any, waiter: tasks.Waiter, job_info: JobInfo, log: JobLog) -> None:
        self._vm = vm
        self._vm_name = vm.name
        self._waiter = waiter
        self._job_info = job_info
        self._log = log
        self._name = markers.backup_name(job_info.unique_name)
        self._to_delete = False

    def remove_leftovers(self, options: Options) -> None:
        """Delete backup snapshots of dead jobs; another daemon's only with remove_leftovers=all.

        The VM's lock is held, so a snapshot of this daemon belongs to no living job.
        """
        for found in snapshots.leftovers(self._vm):
            if found.host != self._job_info.host and options.remove_leftovers != "all":
                raise errors.PreflightError(
                    f"VM {self._vm_name} has the backup snapshot of job {found.job}, taken by the "
                    f"file daemon on {found.host}: another backup may be running",
                    left="nothing, the VM was not touched",
                    todo="If no such job runs, delete that snapshot or set remove_leftovers=all",
                    id="leftover-of-others",
                )
            self._log.warn(
                "leftover-deleted",
                f"VM {self._vm_name}: deleting the backup snapshot that job {found.job} left behind",
            )
            self._delete(found.moref, markers.backup_name(found.job))

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

    def take(self, options: Options) -> snapshots.Taken:
        """Take the snapshot and return it. Raises tasks.TaskFailedError, errors.Canceled."""
        self._to_delete = True
        return snapshots.take(
            self._vm,
            self._waiter,
            self._name,
            markers.backup_description(self._job_info.host),
            quiesce=options.quiesce,
            retries=options.snapshot_retries,
            wait=options.snapshot_retry_wait,
            cancel=self._job_info.cancel,
            warn=self._log.warn,
        )

    def delete(self) -> None:
        """Delete every snapshot of this job, whether or not its creation was seen to succeed.

        Never raises: a failure becomes an error message, since the data is saved by then.
        """
        if not self._to_delete:
            return
        self._to_delete = False
        try:
            for found in snapshots.leftovers(self._vm):
                if found.job == self._job_info.unique_name:
                    self._delete(found.moref, self._name)
        except (vmodl.MethodFault, errors.VmsnapError, OSError) as error:
            self._log.error(
                "backup-snapshot-left",
                f"The backup snapshot {self._name!r} of VM {self._vm_name} could not be deleted: "
                f"{tasks.describe(error) if isinstance(error, vmodl.MethodFault) else error}. "
                "The next job of this VM will delete it",
                *errors.ids(error),
            )

    def _delete(self, moref: str, name: str) -> None:
        snapshot = next(
            item.tree.snapshot for item in snapshots.walk(self._vm) if item.moref == moref
        )
        snapshots.delete(self._vm, snapshot, name, self._waiter)
