# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A restore of whatever was selected: one VmRestore for each VM, identified by its instance UUID.

The UUID is part of the directory that the VM's files and manifests lie in.
"""

from __future__ import annotations

import contextlib
from typing import Callable, Optional, Union

from bareos_vmsnap import errors
from bareos_vmsnap.fd.extraction import Extraction
from bareos_vmsnap.fd.job_info import JobInfo
from bareos_vmsnap.fd.job_log import JobLog
from bareos_vmsnap.fd.options import Options
from bareos_vmsnap.fd.receivers import Receiver
from bareos_vmsnap.fd.restore_options import Definitions
from bareos_vmsnap.fd.selected_manifests import SelectedManifests, UnreadableObject
from bareos_vmsnap.fd.vm_restore import VmRestore
from bareos_vmsnap.mover.client.launch import ForkServerClient
from bareos_vmsnap.tree import manifest, names, restore_objects

Job = Union[VmRestore, Extraction]


class _SelectedVm:
    """What is known about one VM before its first file comes."""

    def __init__(self) -> None:
        self.pieces = restore_objects.Pieces()
        self.lines: set[str] = set()
        self.line: Optional[str] = None
        self.saved_by = 0
        self.job: Optional[Job] = None


class RestoreJob:
    """Bareos sends the restore objects of all selected jobs, then the selected files, job by job.

    A VM without a selected file is left alone, even if its restore objects come. Use: object() for
    each; per file line(), wanted(), open(), received(); end() for each of `running`.
    """

    def __init__(
        self,
        loaded: str,
        parse: Callable[[str], Options],
        job_info: JobInfo,
        log: JobLog,
    ) -> None:
        """`loaded` is the string the plugin was loaded with; `parse` checks an option string."""
        self._definitions = Definitions(loaded)
        self._parse = parse
        self._job_info = job_info
        self._log = log
        self._launcher = ForkServerClient()
        self._vms: dict[str, _SelectedVm] = {}
        self._unreadable: list[UnreadableObject] = []
        self._line = ""
        self._open: Optional[Job] = None

    @property
    def running(self) -> list[Job]:
        """The jobs of the VMs whose files have come, in the order they came."""
        return [vm.job for vm in self._vms.values() if vm.job is not None]

    def object(self, line: str, saved_by: int, piece: bytes) -> None:
        """Take a restore object, saved by this Plugin line in job `saved_by`.

        One that is damaged may not be needed, so it does not fail the restore here.
        """
        self._definitions.of(line)  # the first object's line shows what was given at restore
        try:
            vm = self._vm(restore_objects.piece_of(piece))
            vm.pieces.add(piece)
        except manifest.ManifestError as error:
            self._unreadable.append(UnreadableObject(line, saved_by, error))
            return
        vm.lines.add(line)
        if vm.line is None or saved_by >= vm.saved_by:
            vm.line, vm.saved_by = line, saved_by

    def line(self, line: str) -> None:
        """A file saved by this Plugin line is about to come."""
        self._line = line
        self._definitions.of(line)

    def wanted(self, path: str) -> bool:
        """Whether the restore needs this file. Raises errors.VmsnapError."""
        if not names.is_ours(path):
            raise errors.RestoreError(
                f"{path} is no file of a VM, but was saved by this plugin", id="file-unknown"
            )
        return self._job(path).wanted(path)

    def open(self, path: str) -> Receiver:
        """Prepare for the file's data. Raises errors.VmsnapError."""
        self._open = self._job(path)
        return self._open.open(path)

    def received(self, receiver: Receiver) -> None:
        """The data of the file opened last has come. Raises errors.VmsnapError."""
        assert self._open is not None
        self._open.received(receiver)

    def abandon(self) -> str:
        """After a failure: describe what the restore left behind."""
        left = [text for text in map(_abandon, self.running) if text]
        return "; ".join(left) or "nothing"

    def close(self) -> None:
        """Remove spool files, end processes: of every VM, whatever one does; safe to call again."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._launcher.close)
            for job in self.running:
                stack.callback(job.close)

    def _vm(self, path: str) -> _SelectedVm:
        return self._vms.setdefault(names.vm_of(path), _SelectedVm())

    def _job(self, path: str) -> Job:
        vm = self._vm(path)
        if vm.job is None:
            options = self._parse(self._definitions.of(vm.line or self._line))
            self._check_alone(options)
            if options.restore_target == "files":
                vm.job = Extraction(options, self._log)
            else:
                vm.job = self._vm_restore(names.vm_of(path), vm, options)
        return vm.job

    def _vm_restore(self, digits: str, vm: _SelectedVm, options: Options) -> VmRestore:
        lines = vm.lines or {self._line}
        unreadable = [each for each in self._unreadable if each.line in lines]
        manifests = SelectedManifests(digits, vm.pieces)
        manifests.take_objects(unreadable)
        return VmRestore(options, self._job_info, self._log, manifests, self._launcher)

    def _check_alone(self, options: Options) -> None:
        """Refuse a second VM if an option given at restore can be meant for one VM only."""
        if not self.running or options.restore_target == "files":
            return
        at_restore = [part.partition("=")[0] for part in self._definitions.at_restore.split(":")]
        single = [name for name in ("vmname", "restore_directory") if name in at_restore]
        if single:
            raise errors.RestoreError(
                f"The selection holds several VMs, and {single[0]} was given for all of them",
                todo=f"Restore them one after another, or without {single[0]}",
                id="option-for-one-vm",
            )


def _abandon(job: Job) -> str:
    """What a job left behind, also if it could not be abandoned; the others must be too."""
    try:
        return job.abandon()
    except Exception as error:  # noqa: BLE001 - becomes part of the message
        return f"something that could not be cleaned up ({type(error).__name__}: {error})"
