# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Reading a VM's snapshot tree; taking and deleting the backup snapshot."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.tree import foreign_files, restored_marks, segment_header
from bareos_vmsnap.tree.observed import Observed, Snapshot
from bareos_vmsnap.vsphere import disks, inventory, markers, tasks, vmodl_json
from bareos_vmsnap.vsphere.patience import Patience
from bareos_vmsnap.vsphere.session import Session

# Faults of a quiesced snapshot: the guest may succeed a moment later.
_QUIESCE_FAULTS = (
    vim.fault.ApplicationQuiesceFault,
    vim.fault.FilesystemQuiesceFault,
)
_SNAPSHOT_FAULTS = (
    *_QUIESCE_FAULTS,
    vim.fault.SnapshotFault,
    vim.fault.TaskInProgress,
    vim.fault.ConcurrentAccess,
    vim.fault.InvalidState,
)


@dataclass(frozen=True)
class Item:
    """A snapshot of the tree and its parent's moref."""

    tree: Any
    parent: Optional[str]

    @property
    def moref(self) -> str:
        """The snapshot's managed object id."""
        return str(self.tree.snapshot._moId)


@dataclass(frozen=True)
class Taken:
    """A snapshot just taken, and the event chain of the task that took it."""

    snapshot: Any
    event_chain: Optional[int]

    @property
    def moref(self) -> str:
        """The snapshot's managed object id."""
        return str(self.snapshot._moId)


def walk(vm: Any) -> Iterator[Item]:
    """All snapshots of the VM, parents first, siblings in vSphere's order."""
    return items(vm.snapshot)


def items(info: Any) -> Iterator[Item]:
    """The same of a SnapshotInfo, None if there is no snapshot."""
    pending = [Item(root, None) for root in info.rootSnapshotList] if info else []
    while pending:
        item = pending.pop(0)
        yield item
        pending += [Item(child, item.moref) for child in item.tree.childSnapshotList or []]


def depth(vm: Any) -> int:
    """How many snapshots lie on the path from a root to the current one."""
    return len(path(vm))


def path(vm: Any) -> list[str]:
    """The ids of the snapshots that the VM's state is based on: from the current one to a root."""
    info = vm.snapshot
    parents = {item.moref: item.parent for item in items(info)}
    at, found = _current(info), list[str]()
    while at is not None:
        found.append(at)
        at = parents[at]
    return found


def _current(info: Any) -> Optional[str]:
    return info.currentSnapshot._moId if info and info.currentSnapshot else None


def find(vm: Any, moref: str) -> Optional[Any]:
    """The VM's snapshot with that id, or None if it has none."""
    return next((item.tree.snapshot for item in walk(vm) if item.moref == moref), None)


def leftovers(vm: Any, *, not_below: Optional[str] = None) -> list[markers.Leftover]:
    """Backup snapshots on the VM, ours or another file daemon's.

    `not_below`: without the snapshot of this id and what hangs below it.
    """
    items = list(walk(vm))
    later = _below(items, not_below)
    found = (
        markers.leftover(i.tree.name, i.tree.description, i.moref)
        for i in items
        if i.moref not in later
    )
    return [leftover for leftover in found if leftover is not None]


def _below(items: list[Item], moref: Optional[str]) -> set[str]:
    """The ids of a snapshot and of all below it; `items` come parents first."""
    found = {moref} if moref is not None else set()
    found.update(item.moref for item in items if item.parent is not None and item.parent in found)
    return found


def take(
    vm: Any,
    waiter: tasks.Waiter,
    name: str,
    description: str,
    *,
    quiesce: bool,
    retries: int,
    wait: float,
    cancel: threading.Event,
    warn: errors.Warn,
) -> Taken:
    """Take a snapshot without memory.

    After a failure it is tried again up to `retries` times, each after `wait` seconds. Raises
    tasks.TaskFailedError, tasks.EndUnknownError, errors.Canceled.
    """
    doing = f"Taking the snapshot {name!r} of VM {vm.name}"
    for attempt in range(retries + 1):
        try:
            task = vm.CreateSnapshot_Task(name, description, False, quiesce)
            info = waiter.finished(task, doing)
            return Taken(info.result, info.eventChainId)
        except _SNAPSHOT_FAULTS as fault:
            failure = tasks.TaskFailedError(doing, fault)
        except tasks.TaskFailedError as failed:
            failure = failed
        if attempt == retries or not isinstance(failure.fault, _SNAPSHOT_FAULTS):
            raise failure
        text = f"{failure} Trying again in {wait:.0f} s ({attempt + 1} of {retries})."
        warn("snapshot-retry", text, *errors.ids(failure))
        if cancel.wait(wait):
            raise errors.Canceled(f"{doing} was interrupted: the job was canceled")
    raise AssertionError("unreachable")


def delete(
    vm: Any, snapshot: Any, name: str, waiter: tasks.Waiter, patience: Optional[Patience] = None
) -> None:
    """Delete one snapshot and wait until its data is consolidated.

    A task of somebody else that is in the way is waited for, and so is the end of a fault that may
    pass: nothing is lost meanwhile. The next snapshot must not be taken before the consolidation
    has ended: changes made until then would be lost to CBT. Raises tasks.TaskFailedError,
    tasks.EndUnknownError, and vSphere's faults: ManagedObjectNotFound if it is not there.
    """
    patience = patience or Patience()
    name = f"{name!r} of VM {patience.call(lambda: vm.name)}"
    tried = False

    def remove() -> None:
        nonlocal tried
        doing, again, tried = f"Deleting the snapshot {name}", tried, True
        try:
            task = snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True)
            waiter.wait(task, doing, heed_cancel=False)
        except vmodl.fault.ManagedObjectNotFound:
            if not again:  # else by a task that was reported as failed, or whose end is not known
                raise
        except vmodl.MethodFault as fault:
            raise tasks.TaskFailedError(doing, fault) from fault

    def consolidate() -> None:
        doing = f"Consolidating the disks after deleting the snapshot {name}"
        if vm.runtime.consolidationNeeded:
            waiter.wait(vm.ConsolidateVMDisks_Task(), doing, heed_cancel=False)

    patience.call(remove)
    patience.call(consolidate)


def observe(session: Session, vm: Any, backup: Taken) -> Observed:
    """The VM and its user snapshots as they are under the backup snapshot just taken.

    What hangs below the backup snapshot was taken after it and is left out. Raises
    errors.BackupError.
    """
    items = list(walk(vm))
    later = _below(items, backup.moref) - {backup.moref}
    user: list[Snapshot] = []
    state: Optional[Snapshot] = None
    for item, described in _describe_all(session, vm, [i for i in items if i.moref not in later]):
        if item.moref == backup.moref:
            state = described
        else:
            user.append(described)
    if state is None:
        raise errors.BackupError(
            f"The backup snapshot of VM {vm.name} disappeared while its tree was read",
            todo="Does another backup product or a cleanup script delete snapshots of this VM?",
            id="backup-snapshot-gone",
        )
    power = str(vm.runtime.powerState)
    chain = backup.event_chain
    server = session.content.about.instanceUuid
    return Observed(
        identity(vm),
        tuple(user),
        state.parent,
        state,
        power,
        chain,
        server,
        homes=_homes(vm.config.files),
    )


def observe_as_it_stands(session: Session, vm: Any) -> Observed:
    """The VM and its snapshots without a backup snapshot, so the state cannot be read.

    Raises errors.BackupError.
    """
    info, config = vm.snapshot, vm.config
    user = tuple(described for _, described in _describe_all(session, vm, list(items(info))))
    current = _current(info)
    state = Snapshot(
        moref="current",
        id=0,
        name="",
        description="",
        created="",
        parent=current,
        disks=disks.saved(config.hardware.device),
        config=None,
        cpus=config.hardware.numCPU,
        memory_mb=config.hardware.memoryMB,
        change_tracking=bool(config.changeTrackingEnabled),
    )
    power = str(vm.runtime.powerState)
    return Observed(identity(vm), user, current, state, power, homes=_homes(config.files))


def _homes(files: Any) -> tuple[str, ...]:
    """The folders of the VM's own files. Deltas may have one of their own (workingDir)."""
    paths = [
        files.vmPathName,
        files.snapshotDirectory and f"{files.snapshotDirectory.rstrip('/')}/",
    ]
    return tuple(dict.fromkeys(foreign_files.folder(path) for path in paths if path))


def identity(vm: Any) -> segment_header.Vm:
    config, (dc, folder) = vm.config, inventory.location(vm)
    return segment_header.Vm(
        name=inventory.plain_name(config.name),
        instance_uuid=config.instanceUuid,
        moref=vm._moId,
        dc="/" + inventory.datacenter_path(dc),
        folder=folder,
        host=vm.runtime.host.name if vm.runtime.host else "",
    )


def _describe_all(session: Session, vm: Any, found: list[Item]) -> Iterator[tuple[Item, Snapshot]]:
    configs = session.read(vim.vm.Snapshot, [item.moref for item in found], "config")
    restored = _restored(found, configs)
    for item in found:
        if item.moref not in configs:
            raise errors.BackupError(
                f"The snapshot {inventory.plain_name(item.tree.name)!r} of VM {vm.name} was "
                "deleted while the tree was read",
                todo="Run the job again",
                id="snapshot-gone",
            )
        yield item, _describe(item, configs[item.moref], restored.get(item.moref))


def _restored(found: list[Item], configs: Mapping[str, Any]) -> dict[str, str]:
    """The restore jobs of the snapshots that a restore made, by moref."""
    options = {moref: config.extraConfig for moref, config in configs.items()}
    marks = {moref: markers.restored_mark(options[moref]) for moref in options}
    parents = {item.moref: item.parent for item in found}
    made = restored_marks.made_by_restore(marks, parents)
    return {moref: markers.restored_by(configs[moref]) or "" for moref in made}


def _describe(item: Item, config: Any, restored_by: Optional[str]) -> Snapshot:
    tree, marked = item.tree, markers.backups(config)
    markers.strip_backups(config)
    return Snapshot(
        moref=item.moref,
        id=tree.id,
        name=tree.name,
        description=tree.description or "",
        created=utc(tree.createTime),
        parent=item.parent,
        disks=disks.saved(config.hardware.device),
        config=vmodl_json.encode(config),
        cpus=config.hardware.numCPU,
        memory_mb=config.hardware.memoryMB,
        power_state=str(tree.state),
        quiesced=bool(tree.quiesced),
        change_tracking=bool(config.changeTrackingEnabled),
        restored_by=restored_by,
        markers=marked,
        left_out=disks.left_out(config.hardware.device),
    )


def utc(moment: datetime.datetime) -> str:
    """A moment as ISO 8601 in UTC."""
    return moment.astimezone(datetime.timezone.utc).isoformat()
