# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A lab whose VMs are backed up and restored by the plugin in the loopback file daemon."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from bareos_vmsnap.transport.disks import NbdDisk
from tests.bench import processes
from tests.bench.meter import Meter, Run
from tests.e2e.machine import Machine
from tests.e2e.site import Site
from vmsnap_lab.filedaemon import JobResult
from vmsnap_lab.filedaemon.result import Message

KEY = 2000  # of a VM's first disk
_LEVELS = 15  # snapshots one below the other
# The messages between which data flow; a restore creates the VM between them, too.
_BACKUP = (r"segments, time point", r"what was sent")
_RESTORE = (r"Restoring VM", r"Time point \S+: ")


class BenchSite(Site):
    """`memory`: a folder on a tmpfs for the second datastore and for the volumes."""

    def __init__(self, folder: Path, memory: Optional[Path] = None) -> None:
        if memory is not None:
            for place in ("lab/datastores/datastore2", "bareos/volumes"):
                (folder / place).parent.mkdir(parents=True)
                (memory / place).mkdir(parents=True)
                (folder / place).symlink_to(memory / place)
        super().__init__(folder)
        self._first: dict[str, Any] = {}

    def uri(self, machine: Machine, snapshot: str = "current", key: int = KEY) -> str:
        """The door of a disk."""
        vm = machine.guest.moref
        return self.lab.nbd_uri.format(vm=vm, snapshot=snapshot, disk=key)

    def disk(self, machine: Machine, snapshot: str = "current") -> NbdDisk:
        """The door of a disk, as a mover's plan names it."""
        return NbdDisk(self.uri(machine, snapshot))

    def fill(self, machine: Machine, image: Path, key: int = KEY) -> None:
        """Write an image to a VM's disk."""
        command = ["nbdcopy", "--connections=1", str(image), self.uri(machine, key=key)]
        subprocess.run(command, check=True)

    def next_node(self, machine: Machine, number: int) -> None:
        """Take snapshot `number` and go on; halfway to vSphere's limit of levels start a branch."""
        taken = machine.snapshot(f"s{number}")
        if number == 0:
            self._first[machine.name] = taken
        elif number % _LEVELS == 0:
            machine.revert(self._first[machine.name])

    def run_backup(
        self, vm: str, level: str = "Full", *, lost: bool = False, **options: str
    ) -> tuple[Run, JobResult]:
        """A backup job of a VM, under a name of the VM's own. Raises RuntimeError unless it is OK.

        `lost`: its volume is /dev/null.
        """

        def job(note: Any) -> JobResult:
            def noted(message: Message) -> None:
                started = re.match(r"Start Backup JobId (\d+)", message.text)
                if lost and started:
                    self.daemon.volume_path(int(started[1])).symlink_to(os.devnull)
                note(message)

            return self.daemon.backup(
                self.plugin(vm, **options), name=f"backup-{vm}", level=level, on_message=noted
            )

        return self._measured(job, _BACKUP)

    def run_restore(self, vm: str, **options: str) -> tuple[Run, JobResult]:
        """A restore job of a VM's newest backup. Raises RuntimeError unless it is OK."""
        at_restore = "".join(f":{key}={value}" for key, value in options.items())

        def job(note: Any) -> JobResult:
            return self.daemon.restore(
                name=f"backup-{vm}", plugin_options=f"python3{at_restore}", on_message=note
            )

        return self._measured(job, _RESTORE)

    def forget(self, *jobs: int) -> None:
        """Remove the volumes of jobs, which are large."""
        for jobid in jobs:
            self.daemon.volume_path(jobid).unlink(missing_ok=True)

    def _measured(self, start: Any, phase: Sequence[str]) -> tuple[Run, JobResult]:
        times: list[tuple[float, str]] = []

        def note(message: Message) -> None:
            times.append((time.monotonic(), message.text))

        tasks = len(self.lab.vcenter.tasks.all)
        with Meter(own=True) as run:
            result: JobResult = start(note)
        if result.status != "T":
            messages = "\n".join(message.text for message in result.messages[-5:])
            raise RuntimeError(f"job {result.name} ended with {result.status}: {messages}")
        begin, end = (next(at for at, text in times if re.search(p, text)) for p in phase)
        run.more = {
            "data_seconds": end - begin,
            "task_seconds": self._task_seconds(tasks),
            "bytes": result.bytes,
        }
        processes.settle()
        return run, result

    def _task_seconds(self, first: int) -> float:
        infos = [task.info for task in list(self.lab.vcenter.tasks.all)[first:]]
        return sum((info.completeTime - info.queueTime).total_seconds() for info in infos)
