# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import time
from typing import Any

import pytest
from pyVim.task import WaitForTask, WaitForTasks
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import Client, reconfigure, wait


def test_a_task_tells_what_it_is(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    task = vm.CreateSnapshot_Task("s", None, False, False)
    WaitForTask(task)
    info = task.info
    assert (info.state, info.entity, info.entityName) == ("success", vm, vm.name)
    assert info.descriptionId == "VirtualMachine.createSnapshot"
    assert info.name.info.wsdlName == "CreateSnapshot_Task"
    assert info.reason.userName == lab.user
    assert info.queueTime <= info.startTime <= info.completeTime
    assert info.result == vm.snapshot.currentSnapshot
    assert (info.key, info.task) == (task._moId, task)
    assert task in client.content.taskManager.recentTask
    assert task in vm.recentTask


def test_slow_tasks_run_behind_the_call(lab: Lab, client: Client) -> None:
    """Progress is seen between two looks: the task takes as long as many of them."""
    guest, vm = client.vm()
    lab.habits.task_seconds_of["CreateSnapshot_Task"] = 2
    task = vm.CreateSnapshot_Task("s", None, False, False)
    assert task.info.state in ("queued", "running")
    assert not vm.snapshot
    progress: list[Any] = []
    WaitForTask(task, onProgressUpdate=lambda t, percent: progress.append(percent))
    assert vm.snapshot
    numbers = [percent for percent in progress if isinstance(percent, int)]
    assert len(set(numbers)) > 3
    assert numbers == sorted(numbers)


def test_a_vm_does_one_thing_at_a_time(lab: Lab, client: Client) -> None:
    """The tasks take longer than the calls that are to find them running."""
    guest, vm = client.vm()
    lab.habits.task_seconds_of["CreateSnapshot_Task"] = 2
    first = vm.CreateSnapshot_Task("first", None, False, False)
    with pytest.raises(vim.fault.TaskInProgress) as caught:
        client.snapshot(vm, "second")
    assert caught.value.task == first
    with pytest.raises(vim.fault.TaskInProgress):
        reconfigure(vm, memoryMB=512)
    snapshot = wait(first)
    assert [node.name for node in vm.snapshot.rootSnapshotList] == ["first"]
    lab.habits.task_seconds_of["RemoveSnapshot_Task"] = 2
    removing = snapshot.RemoveSnapshot_Task(False)
    with pytest.raises(vim.fault.TaskInProgress):
        snapshot.RenameSnapshot("x")
    wait(removing)


def test_cancelling(lab: Lab, client: Client) -> None:
    """The tasks take longer than the calls that are to find them running."""
    guest, vm = client.vm()
    lab.habits.task_seconds = 5
    task = vm.CreateSnapshot_Task("s", None, False, False)
    assert task.info.cancelable
    task.CancelTask()
    with pytest.raises(vmodl.fault.RequestCanceled):
        wait(task)
    assert task.info.cancelled
    assert vm.snapshot is None
    with pytest.raises(vim.fault.InvalidState):
        task.CancelTask()
    lab.habits.task_seconds = 2
    stubborn = vm.PowerOnVM_Task()
    with pytest.raises(vmodl.fault.NotSupported):
        stubborn.CancelTask()
    lab.habits.task_seconds = 0.0
    wait(stubborn)


def test_the_nth_task_of_a_kind_fails(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    fault = vim.fault.ApplicationQuiesceFault(msg="the guest did not answer")
    lab.habits.fail("CreateSnapshot_Task", fault, nth=2, times=2)
    client.snapshot(vm, "1")
    for name in ("2", "3"):
        with pytest.raises(vim.fault.ApplicationQuiesceFault, match="did not answer"):
            client.snapshot(vm, name)
    client.snapshot(vm, "4")
    assert len(vm.layoutEx.snapshot) == 2


def test_a_task_may_fail_after_its_work_was_done(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    lab.habits.fail("CreateSnapshot_Task", vmodl.fault.SystemError(reason="lost"), after=True)
    with pytest.raises(vmodl.fault.SystemError):
        client.snapshot(vm, "there all the same")
    assert vm.snapshot.rootSnapshotList[0].name == "there all the same"


def test_several_tasks(client: Client) -> None:
    made = [client.vm()[1] for _ in range(3)]
    tasks = [vm.CreateSnapshot_Task("s", None, False, False) for vm in made]
    results: list[Any] = []
    WaitForTasks(tasks, results=results)
    assert {result.vm for result in results} == set(made)


def collected(client: Client, **filters: Any) -> list[Any]:
    collector = client.content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec(**filters))
    collector.RewindCollector()
    infos = []
    while page := collector.ReadNextTasks(2):
        infos += page
    collector.DestroyCollector()
    return infos


def test_history(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    before = client.si.CurrentTime()
    snapshot = client.snapshot(vm)
    wait(snapshot.RevertToSnapshot_Task())
    wait(snapshot.RemoveSnapshot_Task(False))
    wait(vm.RemoveAllSnapshots_Task())
    wait(vm.ConsolidateVMDisks_Task())
    lab.habits.fail("PowerOnVM_Task", vim.fault.InsufficientResourcesFault())
    task = vm.PowerOnVM_Task()
    WaitForTask(task, raiseOnError=False, log=lambda message: None)
    by_entity = vim.TaskFilterSpec.ByEntity(entity=vm, recursion="self")
    after = vim.TaskFilterSpec.ByTime(timeType="startedTime", beginTime=before)
    infos = collected(client, entity=by_entity, time=after)
    assert [(info.descriptionId, info.state) for info in infos] == [
        ("VirtualMachine.createSnapshot", "success"),
        ("vm.Snapshot.revert", "success"),
        ("vm.Snapshot.remove", "success"),
        ("VirtualMachine.removeAllSnapshots", "success"),
        ("VirtualMachine.consolidateDisks", "success"),
        ("VirtualMachine.powerOn", "error"),
    ]
    failed = collected(client, entity=by_entity, state=["error"])
    assert [info.key for info in failed] == [task._moId]
    assert isinstance(failed[0].error, vim.fault.InsufficientResourcesFault)
    below = vim.TaskFilterSpec.ByEntity(entity=client.find("Lab/vm"), recursion="children")
    assert task._moId in [info.key for info in collected(client, entity=below)]
    elsewhere = vim.TaskFilterSpec.ByEntity(entity=client.find("Sites"), recursion="all")
    assert collected(client, entity=elsewhere) == []


def test_history_backwards(client: Client) -> None:
    guest, vm = client.vm()
    for name in "abc":
        client.snapshot(vm, name)
    by_entity = vim.TaskFilterSpec.ByEntity(entity=vm, recursion="self")
    collector = client.content.taskManager.CreateCollectorForTasks(
        vim.TaskFilterSpec(entity=by_entity)
    )
    newest = collector.ReadPreviousTasks(2)
    assert [info.result for info in newest] == [
        vm.snapshot.currentSnapshot,
        vm.snapshot.rootSnapshotList[0].childSnapshotList[0].snapshot,
    ]
    assert collector.latestPage[0].key == newest[0].key
    assert len(collector.ReadPreviousTasks(10)) == 1
    collector.ResetCollector()
    assert list(collector.ReadNextTasks(10)) == []
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.ReadNextTasks(0)


def test_a_lab_ends_while_a_task_is_running(own_lab: Lab) -> None:
    own_lab.habits.task_seconds = 60.0
    with Client(own_lab) as client:
        folder = client.find("Lab/vm")
        task = folder.Rename_Task("x")
        assert task.info.state in ("queued", "running")
    started = time.monotonic()
    own_lab.close()
    assert time.monotonic() - started < 30
