# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A site: a vCenter with VMs, and a file daemon that backs them up."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, Optional
from urllib.parse import quote

import bareos_vmsnap
from bareos_vmsnap.vsphere import markers
from vmsnap_lab import plugin_options
from vmsnap_lab.filedaemon import Cancel, FileDaemon, JobResult, Message
from vmsnap_lab.lab import Lab

from . import processes
from .hardware import MIB
from .machine import Machine

REPOSITORY = Path(bareos_vmsnap.__file__).parent.parent
_RAW = ("vcpass", "nbd_uri", "nbd_link_uri")  # options that take no %XX
_SETTLING = 60  # seconds in which servers of disks notice that their clients are gone


class Site:
    """The parts, and short ways to what tests do with them.

    Every process of a job carries `mark` in its environment.
    """

    def __init__(self, directory: Path, *, vddk: bool = False, **lab: Any) -> None:
        """`vddk`: disks are reached through the lab's VDDK, not by NBD."""
        self.directory = directory
        self.on_message: Optional[Callable[[Message], None]] = None  # of backup jobs
        self.lab = Lab(directory / "lab", **lab)
        self._way: dict[str, Optional[str]] = {
            **plugin_options.to_disks(self.lab, "vddk" if vddk else "nbd")
        }
        self._through_vddk = vddk
        self._of_jobs: set[str] = set()
        self.log_in()
        self.daemon = FileDaemon(directory / "bareos", plugin_path=REPOSITORY)
        self.mark = uuid.uuid4().hex
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.password_file = directory / "vcenter.password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.lab.password + "\n")

    def close(self) -> None:
        """End everything."""
        self.lab.close()

    def log_in(self) -> None:
        """Connect to the vCenter, again if sessions have expired."""
        self.client: Any = self.lab.connect()

    # VMs

    def create(self, name: str = "web1", disks: Sequence[int] = (2 * MIB,), **how: Any) -> Machine:
        """A new VM with disks of these sizes; see Lab.create_vm."""
        return Machine(self.lab, self.lab.create_vm(name, disks, **how), self.client)

    def find(self, name: str = "web1") -> Machine:
        """The VM of that name. Raises KeyError."""
        return Machine(self.lab, self.lab.guest(name), self.client)

    def vm_names(self) -> list[str]:
        """Of all VMs in the inventory."""
        return sorted(vm.name for vm in self.lab.vcenter.vms())

    # Jobs

    def plugin(self, vm: str = "web1", **options: Optional[str]) -> str:
        """A FileSet's Plugin line for the VM called `vm`; an option that is None is left out."""
        line = {
            "vcserver": self.lab.host,
            "vcport": str(self.lab.port),
            "vcuser": self.lab.user,
            "vcpass_file": str(self.password_file),
            "ca_file": str(self.lab.ca_file),
            "dc": "Lab",
            "vmname": vm,
            **self._way,
            **options,
        }
        escaped = (f"{k}={_escape(k, v)}" for k, v in line.items() if v is not None)
        return "python3:module_name=bareos-fd-vmsnap:" + ":".join(escaped)

    def backup(
        self,
        *vms: str,
        level: str = "Full",
        cancel: Optional[Cancel] = None,
        **options: Optional[str],
    ) -> JobResult:
        """Run a backup job of the VMs ("web1" if none is named), with these plugin options."""
        with self._watching_sessions():
            return self.daemon.backup(
                [self.plugin(vm, **options) for vm in vms or ("web1",)],
                level=level,
                on_message=self.on_message,
                cancel=cancel,
                environment=self._environment(),
            )

    def restore(
        self,
        jobs: Optional[Sequence[int]] = None,
        *,
        select: Optional[Callable[[str], bool]] = None,
        cancel: Optional[Cancel] = None,
        where: str = "/",
        **options: str,
    ) -> JobResult:
        """Run a restore job with these pluginoptions."""
        at_restore = "".join(f":{key}={quote(value, safe='')}" for key, value in options.items())
        with self._watching_sessions():
            return self.daemon.restore(
                jobs,
                where=where,
                select=select,
                cancel=cancel,
                plugin_options=f"python3{at_restore}" if at_restore else "",
                environment=self._environment(),
            )

    @contextmanager
    def _watching_sessions(self) -> Iterator[None]:
        """Learn which sessions came with the job."""
        before = self._session_keys()
        yield
        self._of_jobs |= self._session_keys() - before

    def _session_keys(self) -> set[str]:
        return {session.key for session in self.lab.vcenter.sessions.sessionList}

    def _environment(self) -> dict[str, str]:
        return {"VMSNAP_SITE": self.mark, "TMPDIR": str(self.temporary)}

    # What is going on

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop all processes of the jobs meanwhile; what vCenter has begun for them is done."""
        stopped = [pid for pid in processes.marked(self.mark) if processes.send(pid, SIGSTOP)]
        time.sleep(0.1)  # for a request that is on its way
        while any(task.info.state == "running" for task in self.lab.vcenter.tasks.recentTask):
            time.sleep(0.01)
        try:
            yield
        finally:
            for pid in stopped:
                processes.send(pid, SIGCONT)

    def movers(self) -> list[int]:
        """The process ids of movers that work for jobs of this site."""
        return [pid for pid in processes.marked(self.mark) if processes.is_mover(pid)]

    def working_movers(self) -> list[int]:
        """Those of them that have a segment to move."""
        return [pid for pid in self.movers() if processes.works(pid)]

    def holders(self) -> list[int]:
        """The process ids of those that have vCenter refuse migrations."""
        if not self._through_vddk:
            return []
        begun = {call.process for call in self.lab.vddk.named("InitEx")}
        return [pid for pid in begun if processes.holds(pid)]

    def open_disks(self) -> list[str]:
        """Disks that NBD clients have open."""
        store = self.lab.store
        datastores = [each for site in self.lab.vcenter.datacenters() for each in site.datastore]
        names = [name for datastore in datastores for name in store.list(datastore.name)]
        return [name for name in names if store.open_count(name)]

    def remains(self) -> list[str]:
        """What jobs left behind that no job may leave; servers get a moment to end."""
        deadline = time.monotonic() + _SETTLING
        while True:
            found = [*self._passing(), *self._lasting()]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def _passing(self) -> list[str]:
        pids = {*processes.marked(self.mark), *self.holders()}
        found = [f"process {processes.describe(pid)}" for pid in sorted(pids)]
        return found + [f"open disk {name}" for name in self.open_disks()]

    def _lasting(self) -> list[str]:
        vcenter, working = self.lab.vcenter, self.directory / "bareos" / "working"
        snapshots = [snapshot.name for vm in vcenter.vms() for snapshot in vm.tree.all()]
        sessions = [each for each in vcenter.sessions.sessionList if each.key in self._of_jobs]
        return [
            *(f"snapshot {name}" for name in snapshots if name.startswith(markers.BACKUP_PREFIX)),
            *(f"session of {session.userAgent}" for session in sessions),
            *(
                f"{vm.name} not migrated for {holder}"
                for vm in vcenter.vms()
                for holder in vm.migration_disabled_by
            ),
            *(f"spool {path.name}" for path in working.glob("*spool*")),
            *(f"lock {path.name}" for path in working.glob("*.lock") if processes.is_locked(path)),
            *(f"temporary {path.name}" for path in self.temporary.iterdir()),
        ]


def _escape(option: str, value: str) -> str:
    if option in _RAW:
        return value.replace(":", "\\:")
    return quote(value, safe="/")
