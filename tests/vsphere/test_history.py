# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The event history is believed if the creations of both backup snapshots are in one answer."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.tree import lineage
from bareos_vmsnap.tree.disturbances import Disturbance
from bareos_vmsnap.vsphere import history, snapshots
from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab

MIB = 1 << 20
REVERTED = "a snapshot was reverted to"


class Past:
    """A VM, with a client, of which a first backup snapshot was taken and deleted."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        guest = lab.create_vm("web1", [MIB])
        client = lab.connect()
        self.content: Any = client.content
        self.guest = Guest(guest.vm)
        self.vm: Any = vim.VirtualMachine(guest.moref, client._stub)
        self.kept = self.do(self.vm.CreateSnapshot_Task("kept", "", False, False))
        self.then = self.back_up()

    def do(self, task: Any) -> Any:
        WaitForTask(task)
        return task.info.result

    def back_up(self) -> history.Creation:
        task = self.vm.CreateSnapshot_Task("backup", "", False, False)
        snapshot = self.do(task)
        (found,) = (item.tree for item in snapshots.walk(self.vm) if item.tree.snapshot == snapshot)
        created = snapshots.utc(found.createTime)
        self.do(snapshot.RemoveSnapshot_Task(False))
        server = self.content.about.instanceUuid
        return history.Creation(created, task.info.eventChainId, server)

    def reconfigure(self, **values: Any) -> None:
        self.do(self.vm.ReconfigVM_Task(vim.vm.ConfigSpec(**values)))

    def between(self, now: Any = None, **then: Any) -> lineage.History:
        """From the first backup, changed, to another one that is made now."""
        content = self.lab.connect().content
        now = now or self.back_up()
        changed = replace(self.then, **then)
        return history.between(content, self.vm, changed, now, threading.Event())

    def disturbances(self) -> tuple[Disturbance, ...]:
        """What CBT may not know, since the first backup."""
        content = self.lab.connect().content
        return history.find_disturbances(content, self.vm, self.then.created)


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    with Lab(tmp_path / "lab") as lab:
        yield Past(lab)


def test_a_quiet_day(past: Past) -> None:
    past.guest.power_on()
    past.reconfigure(annotation="x", extraConfig=[vim.option.OptionValue(key="a", value="b")])
    past.do(past.vm.CreateSnapshot_Task("user", "", False, False))
    assert past.between() == lineage.History()


def test_what_breaks_the_line(past: Past) -> None:
    past.do(past.kept.RevertToSnapshot_Task())
    assert past.between() == lineage.History(breaks=(REVERTED,))


def test_a_revert_to_the_current_snapshot(past: Past) -> None:
    past.do(past.vm.RevertToCurrentSnapshot_Task())
    assert past.between() == lineage.History(breaks=(REVERTED,))


def test_a_revert_before_the_previous_backup_does_not_matter(past: Past) -> None:
    past.do(past.kept.RevertToSnapshot_Task())
    past.then = past.back_up()
    assert past.between() == lineage.History()


def test_a_revert_while_the_clock_was_set_back(past: Past) -> None:
    """By its time it came before the previous backup."""
    vcenter = past.lab.vcenter
    now = vcenter.clock
    vcenter.clock = lambda: now() + datetime.timedelta(hours=5)
    past.then = past.back_up()
    vcenter.clock = now
    past.do(past.kept.RevertToSnapshot_Task())
    assert "clock of the VM's host was set back" in past.between().gap
    vcenter.clock = lambda: now() + datetime.timedelta(hours=5, minutes=10)
    assert past.between() == lineage.History(breaks=(REVERTED,))


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_disks_that_come_or_go(past: Past, operation: str) -> None:
    disk = next(d for d in past.vm.config.hardware.device if d.key == 2000)
    if operation == "add":
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName="", diskMode="persistent")
        disk = vim.vm.device.VirtualDisk(
            key=-1, controllerKey=disk.controllerKey, unitNumber=5, capacityInKB=64, backing=backing
        )
    create = "create" if operation == "add" else None
    change = vim.vm.device.VirtualDeviceSpec(operation=operation, fileOperation=create, device=disk)
    past.reconfigure(deviceChange=[change])
    assert past.between().breaks == ("a disk was added or removed",)


@pytest.mark.parametrize("method", ["attachDisk", "detachDisk"])
def test_first_class_disks_that_come_or_go(past: Past, method: str) -> None:
    info = vim.TaskInfo(
        key="task-1",
        task=vim.Task("task-1"),
        descriptionId=f"VirtualMachine.{method}",
        state="success",
        cancelled=False,
        cancelable=False,
        reason=vim.TaskReasonUser(userName="csi"),
        queueTime=datetime.datetime.now(datetime.timezone.utc),
        eventChainId=1,
    )
    past.lab.vcenter.events.post(vim.event.TaskEvent(info=info), "", entity=past.guest.vm)
    (found,) = past.between().breaks
    assert found == f"a disk was {method[:6].lower()}ed"


def test_what_makes_the_history_alone_doubtful(past: Past) -> None:
    vm = past.guest.vm
    past.guest.power_on()
    vm.boot_time = vm.vcenter.now() - datetime.timedelta(hours=1)  # it has run all the time
    past.lab.vcenter.events.post(vim.event.VmDisconnectedEvent(template=False), "", entity=vm)
    past.reconfigure(flags=vim.vm.FlagInfo(snapshotPowerOffBehavior="powerOff"))
    found = past.between()
    assert (found.gap, found.breaks, len(found.doubts)) == ("", (), 2)
    past.then = past.back_up()
    assert past.between() == lineage.History()
    past.reconfigure(flags=vim.vm.FlagInfo(snapshotPowerOffBehavior="revert"))
    past.then = past.back_up()
    (doubt,) = past.between().doubts
    assert "may revert" in doubt


@pytest.mark.parametrize("leaves", ["disconnected", "restarted"])
def test_what_a_crash_leaves_breaks_the_line(past: Past, leaves: str) -> None:
    past.lab.habits.crash_leaves = leaves
    past.guest.power_on()
    past.guest.crash()
    past.guest.power_on()
    told = {
        "the VM's host was lost from sight, and may have crashed",
        *(["the VM was restarted as its host had failed"] if leaves == "restarted" else []),
    }
    assert set(past.between().breaks) == told
    found = past.disturbances()
    assert {each.what for each in found} == told
    assert {(each.key, each.path) for each in found} == {(None, None)}


def test_disks_that_were_elsewhere(past: Past) -> None:
    def change(operation: str, disk: Any) -> None:
        made = vim.vm.device.VirtualDeviceSpec(operation=operation, device=disk)
        past.reconfigure(deviceChange=[made])

    disk = next(d for d in past.vm.config.hardware.device if d.key == 2000)
    change("remove", disk)
    disk.key = -1
    change("add", disk)
    away, back = past.disturbances()
    assert (away.what, away.key, away.path) == ("the disk was detached", 2000, None)
    assert (back.what, back.key, back.path) == (
        "the disk's file was attached",
        None,
        disk.backing.fileName,
    )
    assert away.when <= back.when


def test_a_vm_that_was_registered_anew(past: Past) -> None:
    vm = past.vm
    folder, pool, path = vm.parent, vm.resourcePool, vm.config.files.vmPathName
    vm.UnregisterVM()
    past.vm = past.do(folder.RegisterVM_Task(path, None, False, pool, None))
    (found,) = past.disturbances()
    assert (found.what, found.key, found.path) == ("the VM was registered anew", None, None)


def test_nothing_disturbed(past: Past) -> None:
    past.guest.power_on()
    past.reconfigure(annotation="x")
    past.do(past.kept.RevertToSnapshot_Task())
    assert past.disturbances() == ()


def test_the_previous_creation_must_be_seen(past: Past) -> None:
    gap = "does not reach back"
    chain = past.then.chain
    assert chain is not None
    # A task of another kind, and one that is not of the VM.
    assert gap in past.between(chain=chain + 1).gap
    assert gap in past.between(chain=None).gap
    assert gap in past.between(created="2026-01-01T00:00:00+00:00").gap
    past.lab.habits.most_events = 1
    assert gap in past.between().gap
    past.lab.habits.most_events = None
    past.lab.vcenter.events.forget()
    assert gap in past.between().gap


def test_an_event_of_that_number_is_not_enough(past: Past) -> None:
    """The list was lost, and numbers began anew and came to the same one."""
    events = past.lab.vcenter.events
    events.lose()
    while events.next_key <= (past.then.chain or 0):
        past.reconfigure(annotation=str(events.next_key))
    assert "does not reach back" in past.between().gap


def test_events_without_chains(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab") as lab:
        lab.habits.chain_zero = True
        assert "does not reach back" in Past(lab).between().gap


def test_another_vcenter(past: Past) -> None:
    past.lab.vcenter.instance_uuid = "5f0e7b6c-0000-4000-8000-000000000001"
    past.content = past.lab.connect().content
    assert "another vCenter" in past.between().gap


def test_events_that_are_posted_late(past: Past) -> None:
    time.sleep(1.5)
    past.lab.habits.events_late = 1.0
    assert past.between() == lineage.History()


def test_the_end_is_not_waited_for_for_ever(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LATEST", 0.6)
    past.lab.habits.most_events, past.lab.habits.kept_events = 5, "oldest"
    for _ in range(3):
        past.reconfigure(annotation="x")
    began = time.monotonic()
    assert "has not come to today's" in past.between().gap
    assert time.monotonic() - began > 0.6


def test_a_cancel_ends_the_wait(past: Past) -> None:
    cancel = threading.Event()
    cancel.set()
    now = replace(past.back_up(), chain=9999)
    assert "has not come" in history.between(past.content, past.vm, past.then, now, cancel).gap


def test_a_single_host_is_doubted(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab", flavour="esxi") as lab:
        found = Past(lab).between()
        assert (found.gap, found.breaks) == ("", ())
        assert found.doubts == ("a single host may lose it",)


def test_events_that_may_not_be_read(past: Past) -> None:
    past.lab.habits.fail(
        "CreateCollectorForEvents", vim.fault.NoPermission(privilegeId="System.View")
    )
    assert "cannot be read (NoPermission" in past.between().gap
