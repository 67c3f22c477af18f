# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import datetime

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import MIB, Client, new_disk, reconfigure, wait

ByEntity = vim.event.EventFilterSpec.ByEntity


def kinds(events: list[object]) -> list[str]:
    return [type(event).__name__.rpartition(".")[2] for event in events]


def test_the_life_of_a_vm(client: Client) -> None:
    guest, vm = client.vm()
    itself = ByEntity(entity=vm, recursion="self")
    wait(vm.PowerOnVM_Task())
    reconfigure(vm, annotation="x")
    host2 = client.find("Lab/datastore/datastore2")
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=host2)))
    wait(vm.PowerOffVM_Task())
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=client.find("Lab/datastore/datastore1"))))
    events = [e for e in client.events(entity=itself) if not isinstance(e, vim.event.TaskEvent)]
    assert kinds(list(events)) == [
        "VmCreatedEvent",
        "VmPoweredOnEvent",
        "VmReconfiguredEvent",
        "VmMigratedEvent",
        "VmPoweredOffEvent",
        "VmRelocatedEvent",
    ]
    assert {event.vm.vm for event in events} == {vm}
    assert events[2].configSpec.annotation == "x"
    assert events[3].sourceDatastore.name == "datastore1"
    assert events[3].datacenter.name == "Lab"
    assert all(a.key < b.key for a, b in zip(events, events[1:]))


def test_snapshot_operations_are_task_events(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    snapshot = client.snapshot(vm)
    wait(snapshot.RevertToSnapshot_Task())
    wait(vm.RevertToCurrentSnapshot_Task())
    wait(snapshot.RemoveSnapshot_Task(False))
    events = client.events(
        entity=ByEntity(entity=vm, recursion="self"), eventTypeId=["vim.event.TaskEvent"]
    )
    assert [event.info.descriptionId for event in events] == [
        "VirtualMachine.createSnapshot",
        "vm.Snapshot.revert",
        "VirtualMachine.revertToCurrentSnapshot",
        "vm.Snapshot.remove",
    ]
    assert {event.userName for event in events} == {lab.user}
    assert events[1].chainId == events[1].info.eventChainId


def test_filters(client: Client) -> None:
    guest, vm = client.vm()
    start = client.si.CurrentTime()
    reconfigure(vm, new_disk(MIB))
    by_time = vim.event.EventFilterSpec.ByTime(beginTime=start)
    found = client.events(
        entity=ByEntity(entity=client.find("Lab"), recursion="all"),
        time=by_time,
        type=[vim.event.VmReconfiguredEvent],
    )
    assert [event.vm.vm for event in found] == [vm]
    nobody = vim.event.EventFilterSpec.ByUsername(systemUser=False, userList=["nobody"])
    assert client.events(userName=nobody) == []
    assert (
        client.events(
            time=vim.event.EventFilterSpec.ByTime(endTime=start - datetime.timedelta(days=1))
        )
        == []
    )
    remote = client.find("Sites")
    assert client.events(entity=ByEntity(entity=remote, recursion="all"), time=by_time) == []
    assert len(client.events(maxCount=3)) == 3


def test_events_of_a_vm_that_is_gone(client: Client) -> None:
    guest, vm = client.vm()
    spec = vim.event.EventFilterSpec(entity=ByEntity(entity=vm, recursion="self"))
    collector = client.content.eventManager.CreateCollectorForEvents(spec)
    wait(vm.Destroy_Task())
    collector.RewindCollector()
    read = collector.ReadNextEvents(100)
    assert kinds(list(read))[0] == "VmCreatedEvent"
    assert kinds(list(read))[-1] == "VmRemovedEvent"
    assert collector.latestPage[0].key == read[-1].key
    collector.DestroyCollector()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        collector.ReadNextEvents(1)


def test_history_can_be_purged(own_lab: Lab) -> None:
    with Client(own_lab) as client:
        client.vm()
        own_lab.vcenter.events.forget()
        assert client.events() == []
        client.content.eventManager.LogUserEvent(client.find("Lab"), "hello")
        (event,) = client.events()
        assert event.message == "hello"
        assert client.content.eventManager.latestEvent.key == event.key
