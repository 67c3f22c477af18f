# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""No Storage vMotion of a VM while a job works on its disks, if that can be prevented."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from bareos_vmsnap import errors
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.relocation_block import answers
from bareos_vmsnap.relocation_block.client import BlockProcess
from bareos_vmsnap.relocation_block.plan import BlockPlan
from bareos_vmsnap.transport.access import Access
from bareos_vmsnap.transport.disks import VddkDisk
from bareos_vmsnap.vsphere import disk_paths, preflight

_GRANT = (
    "Grant the user these privileges on the VM, as in docs/installation.md, or set "
    "prevent_storage_vmotion=no"
)
# Seconds; vCenter and VDDK have just been reachable.
_CLEAN_UP_TIMEOUT = 30.0
_MISSING = "this VDDK has no PrepareForAccess"
_LOOK = "With vddk_log=all the job's disk log tells more; prevent_storage_vmotion=no does without"


class RelocationBlockError(errors.VmsnapError):
    """Storage vMotion cannot be prevented, and the job must not go on without that."""

    id = "relocation-block-required"


class RelocationRefusedError(errors.VmsnapError):
    """Why vCenter cannot be made to refuse migrations of a VM."""


def check(options: Options, access: Access, vm: Any, content: Any) -> str:
    """What a job would do, without doing it. Raises RelocationBlockError if it would fail."""
    if options.prevent_storage_vmotion == "no":
        return "Storage vMotion is detected, not prevented: prevent_storage_vmotion=no"
    reason = _obstacle(access, vm, content)
    if reason is None:
        return "Storage vMotion is prevented while a job runs"
    if options.prevent_storage_vmotion == "yes":
        todo = "Mend that, or set prevent_storage_vmotion=auto or no"
        raise _cannot_block(vm.name, reason, todo) from reason
    text = f"Storage vMotion is detected, but cannot be prevented: {reason.what}"
    return errors.labelled(text, errors.ids(reason))


def _obstacle(access: Access, vm: Any, content: Any) -> Optional[errors.VmsnapError]:
    disk = access.relocation_disk(vm._moId)
    if disk is None:
        return _elsewhere()
    lacking = _lacking(vm, content)
    if lacking is not None:
        return lacking
    try:
        probe = BlockProcess(BlockPlan(disk, probe=True))
    except errors.VmsnapError as error:
        return error
    answer = probe.wait()
    probe.release()
    if answer.outcome == answers.MISSING:
        return _missing()
    return None if answer.blocked else _failed(answer)


def _elsewhere() -> RelocationRefusedError:
    return RelocationRefusedError(
        "it takes a vCenter, and disks reached through VDDK", id="relocation-elsewhere"
    )


def _missing() -> RelocationRefusedError:
    return RelocationRefusedError(_MISSING, id="relocation-unsupported")


def _failed(answer: answers.Answer) -> RelocationRefusedError:
    return RelocationRefusedError(answer.message, id=answer.id)


def _lacking(vm: Any, content: Any) -> Optional[RelocationRefusedError]:
    """All privileges are needed before anything is done, or what was disabled would stay so."""
    lacking = preflight.relocation_privileges(vm, content)
    if not lacking:
        return None
    text = f"the user lacks the privileges {', '.join(lacking)}"
    return RelocationRefusedError(text, id="relocation-privilege")


def _cannot_block(name: str, reason: errors.VmsnapError, todo: str) -> RelocationBlockError:
    return RelocationBlockError(
        f"Storage vMotion of VM {name} cannot be prevented, as prevent_storage_vmotion=yes wants it: "
        f"{reason.what}",
        todo=todo,
    )


class RelocationBlock:
    """Has vCenter refuse to migrate one VM, from start() to release()."""

    def __init__(self, options: Options, access: Access, job_info: JobInfo, log: JobLog) -> None:
        self._mode = options.prevent_storage_vmotion
        self._server = f"{options.vcserver}:{options.vcport}"
        self._access = access
        self._job_info = job_info
        self._log = log
        self._name = ""
        self._disk: Optional[VddkDisk] = None
        self._process: Optional[BlockProcess] = None
        self._blocked = False

    def start(self, vm: Any, content: Any) -> None:
        """Ask for it; log it if that fails. Raises RelocationBlockError, errors.Canceled."""
        if self._mode == "no":
            return
        self._name = vm.name
        disk = self._access.relocation_disk(vm._moId)
        if disk is None:
            if self._mode == "yes":
                self._fail(_elsewhere())
            return
        lacking = _lacking(vm, content)
        if lacking is not None:
            self._not_blocked(lacking, _GRANT)
            return
        self._disk = disk
        try:
            self._process = self._start(disk, disabled=disk_paths.relocation_disabled(vm))
        except errors.VmsnapError as error:
            self._not_blocked(error, _LOOK)
            return
        self._judge(self._process.wait(canceled=self._job_info.cancel.is_set))

    def release(self) -> None:
        """Let vCenter migrate the VM again; never raises, safe to call again."""
        process, self._process = self._process, None
        if process is None or self._disk is None:
            return
        problem = process.release()
        if problem and self._blocked:
            problem = self._clean_up(self._disk, problem)
        if problem:
            self._log.warn(
                "relocation-block-left",
                f"VM {self._name}: vCenter may still refuse to migrate it, on behalf of "
                f"{answers.identity(self._disk.vm)!r}: {problem}. The next job of the VM ends "
                "that, or see docs/troubleshooting.md",
            )

    def _start(self, disk: VddkDisk, *, disabled: bool) -> BlockProcess:
        directory: Path = self._job_info.working_directory
        name = quote(f"{self._server}-{disk.vm}", safe="")
        lock = directory / f"bareos-vmsnap-block-{name}.lock"
        return BlockProcess(BlockPlan(disk, disabled=disabled, lock=str(lock)))

    def _judge(self, answer: answers.Answer) -> None:
        self._blocked = answer.blocked
        if answer.blocked:
            dead = "; a job that died had left it so" if answer.outcome == answers.REPLACED else ""
            self._log.info(
                f"VM {self._name}: vCenter refuses to migrate it while this job runs{dead}"
            )
        elif answer.outcome == answers.OTHERS:
            holder = answer.message or "another program"
            self._log.info(
                f"VM {self._name}: vCenter refuses to migrate it already, on behalf of {holder}. "
                "Should that end before this job, a migration is detected"
            )
        elif answer.outcome == answers.MISSING:
            if self._mode == "yes":
                self._fail(_missing())
            self._log.info(
                f"VM {self._name}: {_MISSING}: Storage vMotion is not prevented, but detected"
            )
        elif answer.outcome == answers.CANCELED:
            raise errors.Canceled("The job was canceled")
        else:
            self._not_blocked(_failed(answer), _LOOK)

    def _not_blocked(self, reason: errors.VmsnapError, todo: str) -> None:
        if self._mode == "yes":
            self._fail(reason, todo)
        self._log.warn(
            "relocation-not-blocked",
            f"VM {self._name}: Storage vMotion cannot be prevented while the job runs, only "
            f"detected: {reason.what}. {todo}",
            *errors.ids(reason),
        )

    def _fail(
        self,
        reason: errors.VmsnapError,
        todo: str = "Set prevent_storage_vmotion=auto or no",
    ) -> None:
        raise _cannot_block(self._name, reason, todo) from reason

    def _clean_up(self, disk: VddkDisk, problem: str) -> str:
        """The process died or failed to clean up: try another. Return what is still wrong."""
        try:
            again = self._start(disk, disabled=True)
        except errors.VmsnapError as error:
            return f"{problem}; {error.what}"
        blocked = again.wait(_CLEAN_UP_TIMEOUT).blocked
        still = again.release(_CLEAN_UP_TIMEOUT)
        return still if blocked else problem
