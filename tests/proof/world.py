# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A VM in the lab that users change, its backups and restores, and the reference beside it."""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from pyVim.task import WaitForTask
from pyVmomi import vim

import bareos_vmsnap
from bareos_vmsnap.fd import daemon_identity
from bareos_vmsnap.tree import manifest
from bareos_vmsnap.vsphere import markers, snapshots
from tests.proof import reference
from vmsnap_lab import plugin_options
from vmsnap_lab.filedaemon import FileDaemon
from vmsnap_lab.lab import Lab

NAME = "proof"
CONTROLLER = 1000
# A multiple of 64 KiB, an odd number of sectors, one less than a block, a few blocks and a sector.
SIZES = (1 << 20, (1 << 20) + 512, 65536 - 512, 5 * 65536 + 1024)
LEVELS = ("Full", "Incremental", "Differential")
MOST_SNAPSHOTS = 10
PLUGIN = Path(bareos_vmsnap.__file__).parent.parent


class World:
    """Every method that changes something changes the lab and the reference alike.

    Actions that vSphere would refuse in the state at hand do nothing: a random history may ask for
    anything. Choices are given as numbers and taken modulo what there is. Jobs reach disks by
    `transport`.
    """

    transport = "nbd"

    def __init__(self, disks: int = 2, sizes: int = 0) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="vmsnap-proof-"))
        self.lab = Lab(self.place / "lab")
        self.daemon = FileDaemon(self.place / "bareos", plugin_path=PLUGIN)
        self.history: list[str] = []
        self.without_cbt = "compare"
        self.counts = {
            "actions": 0,
            "jobs": 0,
            "restores": 0,
            "sent": 0,
            "changed": 0,
            "segments": 0,
        }
        self._points: list[tuple[int, reference.Machine]] = []
        self._nodes: dict[str, reference.Hardware] = {}
        self._taken = 0
        capacities = [SIZES[(sizes + n) % len(SIZES)] for n in range(disks)]
        guest = self.lab.create_vm(NAME, disks=capacities, network="VM Network")
        self._stub = self.lab.connect()._stub
        self.moref = guest.moref
        hardware = reference.Hardware(1, 256, 1)
        for key, capacity in zip(guest.disks, capacities):
            hardware.disks[key] = bytearray(capacity)
        self.machine = reference.Machine(hardware)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        self.lab.close()
        shutil.rmtree(self.place)

    @property
    def vm(self) -> Any:
        return vim.VirtualMachine(self.moref, self._stub)

    # What users and guests do

    def write(self, disk: int, at: float, size: int, seed: int) -> None:
        """The guest writes: a seed of 0 writes zeros. `at` is a fraction of the disk."""
        keys = sorted(self.machine.hardware.disks)
        if not keys:
            return
        key = keys[disk % len(keys)]
        content = self.machine.hardware.disks[key]
        start = int(at * (len(content) - 1))
        size = min(size, len(content) - start)
        data = bytes(size) if seed == 0 else random.Random(seed).randbytes(size)
        content[start : start + size] = data
        guest = self.lab.guest(self.moref)
        if seed == 0:
            guest.write_zeros(key, start, size)
        else:
            guest.write(key, start, data)

    def snapshot(self, name: str = "s") -> None:
        if len(self.machine.snapshots) >= MOST_SNAPSHOTS:
            return
        self._taken += 1
        description = f"number {self._taken}"
        task = self.vm.CreateSnapshot_Task(name, description, False, False)
        WaitForTask(task)
        self.machine.take(task.info.result._moId, name, description)

    def revert(self, which: int) -> None:
        key = self._pick(which)
        if key is not None:
            WaitForTask(self._snapshot(key).RevertToSnapshot_Task(suppressPowerOn=True))
            self.machine.revert(key)

    def remove(self, which: int, below: bool = False) -> None:
        key = self._pick(which)
        if key is not None:
            WaitForTask(self._snapshot(key).RemoveSnapshot_Task(below))
            self.machine.remove(key, below)

    def remove_all(self) -> None:
        WaitForTask(self.vm.RemoveAllSnapshots_Task())
        self.machine.remove_all()

    def rename(self, which: int, name: str) -> None:
        key = self._pick(which)
        if key is not None:
            self._snapshot(key).RenameSnapshot(name, "renamed")
            taken = self.machine.snapshots[key]
            taken.name, taken.description = name, "renamed"

    def reconfigure(self, cpus: int, memory_mb: int) -> None:
        self._reconfigure(vim.vm.ConfigSpec(numCPUs=cpus, memoryMB=memory_mb))
        self.machine.hardware.cpus, self.machine.hardware.memory_mb = cpus, memory_mb

    def add_nic(self) -> None:
        if self.machine.hardware.nics >= 3:
            return
        backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
        card = vim.vm.device.VirtualE1000(key=-1, backing=backing, addressType="generated")
        self._change("add", card)
        self.machine.hardware.nics += 1

    def add_disk(self, size: int) -> None:
        """At the lowest free place: often the key of a disk removed before, with another file."""
        used = {d.unitNumber for d in self._devices(vim.vm.device.VirtualDisk)}
        unit = next(n for n in range(16) if n not in used and n != 7)
        if len(used) >= 4:
            return
        capacity = SIZES[size % len(SIZES)]
        disk = vim.vm.device.VirtualDisk(
            key=-1,
            controllerKey=CONTROLLER,
            unitNumber=unit,
            capacityInBytes=capacity,
            capacityInKB=capacity // 1024,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                fileName="", diskMode="persistent", thinProvisioned=True
            ),
        )
        before = {d.key for d in self._devices(vim.vm.device.VirtualDisk)}
        self._change("add", disk, "create")
        (key,) = {d.key for d in self._devices(vim.vm.device.VirtualDisk)} - before
        self.machine.hardware.disks[key] = bytearray(capacity)

    def remove_disk(self, which: int) -> None:
        disks = self._devices(vim.vm.device.VirtualDisk)
        if len(disks) < 2:
            return
        disk = disks[which % len(disks)]
        self._change("remove", disk)
        del self.machine.hardware.disks[disk.key]

    def grow_disk(self, which: int) -> None:
        """vSphere grows no disk under snapshots, a dead job's included."""
        disks = self._devices(vim.vm.device.VirtualDisk)
        if not disks or self._walk(self.vm):
            return
        disk = disks[which % len(disks)]
        size = disk.capacityInBytes + 3 * 65536 + 512
        disk.capacityInBytes, disk.capacityInKB = size, size // 1024
        self._change("edit", disk)
        content = self.machine.hardware.disks[disk.key]
        content.extend(bytes(size - len(content)))

    def reset_cbt(self) -> None:
        for on in (False, True):
            self._reconfigure(vim.vm.ConfigSpec(changeTrackingEnabled=on))

    def switch_cbt(self, on: bool) -> None:
        self._reconfigure(vim.vm.ConfigSpec(changeTrackingEnabled=on))

    def migrate(self) -> None:
        here = self.vm.config.files.vmPathName.split("]")[0].lstrip("[")
        there = "datastore2" if here == "datastore1" else "datastore1"
        store = next(s for s in self.vm.runtime.host.datastore if s.name == there)
        WaitForTask(self.vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=store)))

    def register_anew(self) -> None:
        """The VM and its snapshots get new managed object ids."""
        vm = self.vm
        path, folder, pool = vm.config.files.vmPathName, vm.parent, vm.resourcePool
        before = [key for key, _ in self._walk(vm)]
        vm.UnregisterVM()
        task = folder.RegisterVM_Task(path, None, False, pool)
        WaitForTask(task)
        self.moref = task.info.result._moId
        new = dict(zip(before, (key for key, _ in self._walk(self.vm))))
        self.machine = self.machine.renamed(new)

    def consolidate(self) -> None:
        WaitForTask(self.vm.ConsolidateVMDisks_Task())

    def purge_events(self) -> None:
        self.lab.vcenter.events.forget()

    def lose_events(self) -> None:
        self.lab.vcenter.events.lose()

    def crashed_job(self) -> None:
        """A job of this file daemon died and left its backup snapshot; users go on above it."""
        working = self.place / "bareos" / "working"
        daemon = daemon_identity.find(socket.gethostname(), working)
        description = markers.backup_description(daemon)
        name = markers.backup_name("dead.2026-01-01_00.00.00_01")
        if not any(item.name == name for _, item in self._walk(self.vm)):
            WaitForTask(self.vm.CreateSnapshot_Task(name, description, False, False))

    # Jobs

    def backup_while_cbt_lies(self, level: str) -> None:
        """CBT misses changes and says nothing; an audit of every block must find out."""
        if self.machine.current is None and level != "Full":
            return  # the previous backup's state is deleted: nothing to audit against
        self.lab.habits.cbt.misses = 0.4
        try:
            self.backup(level, audit=1_000_000)
        finally:
            self.lab.habits.cbt.misses = 0.0

    def backup(self, level: str, audit: int = 0) -> None:
        """Run a job and keep what the VM was at it; all must end well."""
        plugin = f"{self._plugin()}:audit={audit}"
        result = self.daemon.backup(plugin, name="proof", level=level)
        texts = [message.text.rstrip() for message in result.messages]
        assert result.status == "T", texts
        leftovers = [i.name for _, i in self._walk(self.vm) if i.name.startswith("vmsnap")]
        assert not leftovers, leftovers
        self._points.append((result.jobid, self.machine.copy()))
        self.counts["jobs"] += 1
        self._account(result.jobid)

    def restore(self, which: int) -> None:
        """Restore one of the time points into a new VM and compare everything."""
        if not self._points:
            return
        jobid, expected = self._points[which % len(self._points)]
        point = self._manifest(jobid).point.id
        options = f"python3:vmname=restored:restore_timepoint={point}"
        result = self.daemon.restore(self._jobs_for(jobid), name="proof", plugin_options=options)
        texts = [message.text.rstrip() for message in result.messages]
        assert result.status == "T", texts
        restored = self.lab.guest("restored")
        vm = vim.VirtualMachine(restored.moref, self._stub)
        self._compare(vm, expected)
        WaitForTask(vm.Destroy_Task())
        self.counts["restores"] += 1

    def disaster(self) -> None:
        """The VM is lost, restored from its newest backup, and users go on with what came back."""
        if not self._points:
            return
        jobid, expected = self._points[-1]
        WaitForTask(self.vm.Destroy_Task())
        result = self.daemon.restore(self._jobs_for(jobid), name="proof")
        assert result.status == "T", [message.text.rstrip() for message in result.messages]
        self.counts["restores"] += 1
        self.moref = self.lab.guest(NAME).moref
        self._compare(self.vm, expected)
        new = dict(zip(_in_order(expected), (key for key, _ in self._walk(self.vm))))
        self.machine = expected.renamed(new)

    def last_segments(self) -> dict[str, Any]:
        """What the last job sent, by the node's short name."""
        tree = self._manifest(self._points[-1][0])
        sent = [s for s in tree.segments.values() if s.timepoint == tree.point.id]
        return {self.short(segment.node): segment for segment in sent}

    def short(self, node: Optional[str]) -> str:
        """A node's name: that of its snapshot, or "state"."""
        if node is None:
            return ""
        directory = self._manifest(self._points[-1][0]).nodes[node].directory
        kind, _, name = directory.rsplit("/", 1)[-1].partition("-")
        return "state" if kind == "state" else name.partition(".")[0]

    def _jobs_for(self, jobid: int) -> list[int]:
        """The last Full up to this job and all after it, as an admin selects them by date."""
        jobs = [job for job in self.daemon.jobs() if job.type == "B" and job.jobid <= jobid]
        fulls = [job.jobid for job in jobs if job.level == "F"]
        return [job.jobid for job in jobs if not fulls or job.jobid >= fulls[-1]]

    def _manifest(self, jobid: int) -> Any:
        pieces = manifest.Pieces()
        for found in self.daemon.restore_objects(jobid):
            pieces.add(found.data)
        (name,) = pieces.names()
        return pieces.manifest(name)

    def _account(self, jobid: int) -> None:
        """How much was sent, and how much of it truly changed, where CBT was trusted."""
        tree = self._manifest(jobid)
        by_id = {(n.snapshot_id, n.created): n.id for n in tree.nodes.values()}
        for key, item in self._walk(self.vm):
            node = by_id.get((item.id, snapshots.utc(item.createTime)))
            if node is not None:
                self._nodes.setdefault(node, self.machine.snapshots[key].hardware.frozen())
        self._nodes[tree.point.state] = self.machine.hardware.frozen()
        for segment in tree.segments.values():
            if segment.timepoint == tree.point.id and segment.method == "cbt":
                content = self._nodes[segment.node].disks[segment.disk]
                base = self._nodes[segment.base or ""].disks[segment.disk]
                self.counts["sent"] += segment.data + segment.zero
                self.counts["changed"] += reference.changed_blocks(base, content)
                self.counts["segments"] += 1

    def _compare(self, vm: Any, expected: reference.Machine) -> None:
        guest = self.lab.guest(vm._moId)
        found = dict(self._walk(vm))
        assert len(found) == len(expected.snapshots)
        pairs = dict(zip(found, _in_order(expected)))
        for key, item in found.items():
            wanted = expected.snapshots[pairs[key]]
            assert (item.name, item.description) == (wanted.name, wanted.description)
            parent = next((k for k, i in found.items() if item in i.childSnapshotList), None)
            assert (pairs[parent] if parent else None) == wanted.parent
            _same(item.snapshot.config, wanted.hardware, guest, key)
        info = vm.snapshot
        current = info.currentSnapshot._moId if info and info.currentSnapshot else None
        assert (pairs[current] if current else None) == expected.current
        _same(vm.config, expected.hardware, guest, None)

    def _plugin(self) -> str:
        secret = self.place / "password"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(self.lab.password + "\n")
        uuid = self.lab.guest(self.moref).vm.config.instanceUuid
        options = {
            "module_name": "bareos-fd-vmsnap",
            "restore_powerstate": "off",
            "vcserver": self.lab.host,
            "vcport": str(self.lab.port),
            "vcuser": self.lab.user,
            "vcpass_file": str(secret),
            "ca_file": str(self.lab.ca_file),
            "uuid": uuid,
            **plugin_options.to_disks(self.lab, self.transport),
            "without_cbt": self.without_cbt,
            "quiesce": "no",
        }
        return "python3:" + ":".join(f"{k}={v}".replace(":", "\\:") for k, v in options.items())

    def _pick(self, which: int) -> Optional[str]:
        keys = list(self.machine.snapshots)
        return keys[which % len(keys)] if keys else None

    def _snapshot(self, key: str) -> Any:
        return vim.vm.Snapshot(key, self._stub)

    def _walk(self, vm: Any) -> list[tuple[str, Any]]:
        info = vm.snapshot
        pending = list(info.rootSnapshotList) if info else []
        found = []
        while pending:
            item = pending.pop(0)
            found.append((item.snapshot._moId, item))
            pending += item.childSnapshotList or []
        return found

    def _devices(self, kind: Any) -> list[Any]:
        found = [d for d in self.vm.config.hardware.device if isinstance(d, kind)]
        return sorted(found, key=lambda device: device.key)

    def _change(self, operation: str, device: Any, file: Optional[str] = None) -> None:
        change = vim.vm.device.VirtualDeviceSpec(
            operation=operation, device=device, fileOperation=file
        )
        self._reconfigure(vim.vm.ConfigSpec(deviceChange=[change]))

    def _reconfigure(self, spec: Any) -> None:
        WaitForTask(self.vm.ReconfigVM_Task(spec))


def _in_order(machine: reference.Machine) -> list[str]:
    """The snapshots as vSphere lists them: breadth first, siblings by creation."""
    order: list[str] = []
    pending = machine.children(None)
    while pending:
        key = pending.pop(0)
        order.append(key)
        pending += machine.children(key)
    return order


def _same(config: Any, wanted: reference.Hardware, guest: Any, snapshot: Optional[str]) -> None:
    hardware = config.hardware
    assert (hardware.numCPU, hardware.memoryMB) == (wanted.cpus, wanted.memory_mb)
    nics = [d for d in hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard)]
    assert len(nics) == wanted.nics
    disks = {d.key for d in hardware.device if isinstance(d, vim.vm.device.VirtualDisk)}
    assert disks == set(wanted.disks)
    for key, content in wanted.disks.items():
        found = guest.read(key, 0, len(content), snapshot=snapshot)
        if found != content:
            at = next(n for n, (a, b) in enumerate(zip(found, content)) if a != b)
            raise AssertionError(f"disk {key} at {snapshot or 'the state'} differs at byte {at}")
