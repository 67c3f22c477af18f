# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Short names for what a client of vCenter does."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Any, Optional

from pyVim import connect
from pyVim.task import WaitForTask
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

MIB = 1 << 20
BLOCK = 64 * 1024
Device: Any = vim.vm.device
Spec: Any = Device.VirtualDeviceSpec
_numbers = itertools.count(1)


class Client:
    def __init__(self, lab: Lab, si: Any = None) -> None:
        self.lab = lab
        self.user = lab.user
        self.si = si or lab.connect()
        self.content = self.si.content

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        connect.Disconnect(self.si)

    def find(self, path: str) -> Any:
        return self.content.searchIndex.FindByInventoryPath(path)

    def vm(self, disks: Any = (16 * MIB,), **options: Any) -> tuple[Guest, Any]:
        """A new VM: its guest, and the managed object."""
        guest = self.lab.create_vm(f"vm{next(_numbers)}", disks, **options)
        return guest, vm_of(self.si._stub, guest.moref)

    def snapshot(
        self,
        vm: Any,
        name: str = "s",
        description: str = "",
        memory: bool = False,
        quiesce: bool = False,
    ) -> Any:
        return wait(vm.CreateSnapshot_Task(name, description, memory, quiesce))

    def events(self, **filters: Any) -> list[Any]:
        """Oldest first."""
        found = self.content.eventManager.QueryEvents(vim.event.EventFilterSpec(**filters))
        return sorted(found, key=lambda event: event.key)


def service(stub: Any) -> Any:
    """The service instance behind a stub that has not logged in."""
    return vim.ServiceInstance("ServiceInstance", stub)


def vm_of(stub: Any, moid: str) -> Any:
    return vim.VirtualMachine(moid, stub)


def wait(task: Any) -> Any:
    """The result of a task; raises its fault."""
    WaitForTask(task)
    return task.info.result


def disk(config: Any, key: int = 2000) -> Any:
    return next(device for device in config.hardware.device if device.key == key)


def disks(config: Any) -> list[Any]:
    return [d for d in config.hardware.device if isinstance(d, Device.VirtualDisk)]


def chain(backing: Any) -> list[str]:
    """File names of a backing, leaf first."""
    names = []
    while backing is not None:
        names.append(backing.fileName.rpartition("/")[2])
        backing = backing.parent
    return names


def new_disk(
    capacity: int,
    controller: int = 1000,
    unit: Optional[int] = None,
    mode: str = "persistent",
    path: str = "",
    create: bool = True,
    **backing: Any,
) -> Any:
    spec = Spec(
        operation="add",
        device=Device.VirtualDisk(
            key=-1,
            controllerKey=controller,
            unitNumber=unit,
            capacityInKB=capacity // 1024,
            backing=Device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode=mode, **backing),
        ),
    )
    if create:
        spec.fileOperation = "create"
    return spec


def remove(device: Any, destroy: bool = False) -> Any:
    spec = Spec(operation="remove", device=device)
    if destroy:
        spec.fileOperation = "destroy"
    return spec


def reconfigure(vm: Any, *changes: Any, **values: Any) -> None:
    wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=list(changes), **values)))


def tree(vm: Any) -> Any:
    """The snapshot tree as nested (name, children)."""

    def shape(nodes: Any) -> Any:
        return [(node.name, shape(node.childSnapshotList)) for node in nodes]

    return shape(vm.snapshot.rootSnapshotList) if vm.snapshot else []


def changed(vm: Any, snapshot: Any, base: Any, key: int = 2000) -> list[tuple[int, int]]:
    """The areas changed between two snapshots, over all pages."""
    change_id = base if isinstance(base, str) else disk(base.config, key).backing.changeId
    capacity = disk((snapshot or vm).config, key).capacityInBytes
    areas, start = [], 0
    while start < capacity:
        page = vm.QueryChangedDiskAreas(snapshot, key, start, change_id)
        assert page.startOffset == start
        assert page.length > 0
        areas += [(area.start, area.length) for area in page.changedArea]
        start += page.length
    assert start == capacity
    return areas
