# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A vCenter whose VMs a Bareos backs up, as tests use them together."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bareos_vmsnap.vsphere import markers
from vmsnap_lab.lab import Lab
from vmsnap_lab.storage import StorageError
from vmsnap_lab.vcenter.vm import buses

from ..e2e import processes
from ..e2e.hardware import MIB
from ..e2e.machine import Machine
from .bareos import Bareos

_CALLS = (
    "CreateSnapshot_Task",
    "QueryChangedDiskAreas",
    "RemoveSnapshot_Task",
    "RetrievePropertiesEx",
    "RetrieveServiceContent",
    "WaitForUpdatesEx",
    "Login",
    "Logout",
)
_SETTLING = 10  # seconds in which a file daemon cleans up after a job


class Proxy:
    """`bareos` and `lab`, and short ways to what tests do with both."""

    def __init__(self, bareos: Bareos, lab: Lab) -> None:
        self.bareos = bareos
        self.lab = lab
        self.client = lab.connect()
        self._number = 0
        self._known = self._sessions()

    def begin(self) -> None:
        """Make sure that the daemons run."""
        for daemon in (self.bareos.storage, self.bareos.file, self.bareos.director):
            if not daemon.running:
                daemon.start()
        self._known = self._sessions()

    def create(
        self,
        disks: Sequence[int] = (2 * MIB,),
        *,
        name: str = "",
        how: Any = None,
        **configured: str,
    ) -> Machine:
        """A new VM, by default of a name not used before, with its FileSet and Job.

        `configured`: see Configuration.add_vm; `how`: see Lab.create_vm.
        """
        self._number += 1
        name = name or f"vm{self._number}"
        guest = self.lab.create_vm(name, disks, **(how or {}))
        self._known |= self._sessions()  # the lab's own, if this was its first call
        if name != "web1" or configured:
            self.bareos.configuration.add_vm(name, **configured)
            self.bareos.reload()
        return Machine(self.lab, guest, self.client)

    def find(self, name: str) -> Machine:
        """The VM of that name. Raises KeyError."""
        return Machine(self.lab, self.lab.guest(name), self.client)

    def vm_names(self) -> list[str]:
        """Of all VMs in the inventory."""
        return sorted(vm.name for vm in self.lab.vcenter.vms())

    def movers(self) -> list[int]:
        """The process ids of movers of the file daemon."""
        return [pid for pid in processes.marked(self.bareos.mark) if processes.is_mover(pid)]

    def working_movers(self) -> list[int]:
        """Those of them that have a segment to move."""
        return [pid for pid in self.movers() if processes.works(pid)]

    def runs(self, method: str) -> bool:
        """Whether vCenter is at work on a task of that method ("CreateSnapshot_Task")."""
        operations = [info.descriptionId.rpartition(".")[2].lower() for info in self.at_work]
        wanted = method.replace("ReconfigVM", "Reconfigure").lower()
        return any(wanted.startswith(operation) for operation in operations)

    @property
    def at_work(self) -> list[Any]:
        """The TaskInfo of each task vCenter is at work on."""
        tasks = self.lab.vcenter.tasks.recentTask
        return [task.info for task in tasks if task.info.state == "running"]

    def forget_killed(self) -> None:
        """Remove what a file daemon that was killed could not: vCenter ends its session by and by."""
        for path in self.bareos.temporary.iterdir():
            shutil.rmtree(path)
        self._known = self._sessions()

    def lose_vcenter(self) -> None:
        """From now on no call is answered, until the habits are forgiven."""
        for method in _CALLS:
            self.lab.habits.fail(method, ConnectionError(), times=10_000)

    def remains(self) -> list[str]:
        """What jobs left behind that no job may leave."""
        deadline = time.monotonic() + _SETTLING
        while True:
            found = [*self._processes(), *self._files(), *self._in_vcenter()]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def clean_up(self) -> None:
        """Destroy all VMs."""
        self.lab.habits.forgive()
        self.lab.habits.task_seconds_of.clear()
        for vm in self.lab.vcenter.vms():
            machine = self.find(vm.moid)
            if machine.vm.runtime.powerState == "poweredOn":
                machine.guest.power_off()
            machine.destroy()

    def _processes(self) -> list[str]:
        bareos = self.bareos
        own = bareos.file.pid if bareos.file.running else 0
        pids = [pid for pid in processes.marked(bareos.mark) if pid != own]
        return [f"process {processes.describe(pid)}" for pid in pids]

    def _files(self) -> list[str]:
        working = self.bareos.root / "work" / "fd"
        return [
            *(f"spool {path.name}" for path in working.glob("*spool*")),
            *(f"lock {path.name}" for path in working.glob("*.lock") if processes.is_locked(path)),
            *(f"temporary {path.name}" for path in self.bareos.temporary.iterdir()),
        ]

    def _in_vcenter(self) -> list[str]:
        vcenter = self.lab.vcenter
        snapshots = [snapshot.name for vm in vcenter.vms() for snapshot in vm.tree.all()]
        return [
            *(f"snapshot {name}" for name in snapshots if name.startswith(markers.BACKUP_PREFIX)),
            *(f"session {key}" for key in self._sessions() - self._known),
            *(f"open disk {path}" for path in self._open_disks()),
        ]

    def _open_disks(self) -> Iterator[str]:
        """Those that a client has open; a server that was killed takes a moment to be missed."""
        vcenter, store = self.lab.vcenter, self.lab.store
        for vm in vcenter.vms():
            for device in buses.disks(vm.live.hardware.device):
                with contextlib.suppress(StorageError):  # just being removed
                    for path in store.chain(vcenter.disk_path(device.backing.fileName)):
                        if store.open_count(path):
                            yield path

    def _sessions(self) -> set[str]:
        return {session.key for session in self.lab.vcenter.sessions.sessionList}


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)
