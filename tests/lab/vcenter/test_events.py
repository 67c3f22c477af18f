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


def test_reverts_that_leave_no_event(own_lab: Lab) -> None:
    own_lab.habits.silent_reverts = True
    with Client(own_lab) as client:
        guest, vm = client.vm()
        snapshot = client.snapshot(vm)
        wait(snapshot.RevertToSnapshot_Task())
        wait(vm.RevertToCurrentSnapshot_Task())
        events = client.events(eventTypeId=["vim.event.TaskEvent"])
        assert events[-1].info.descriptionId == "VirtualMachine.createSnapshot"


def test_a_power_off_that_reverts(own_lab: Lab) -> None:
    with Client(own_lab) as client:
        guest, vm = client.vm()
        client.snapshot(vm)
        reconfigure(vm, flags=vim.vm.FlagInfo(snapshotPowerOffBehavior="revert"))
        client.snapshot(vm)
        for obeys in (False, True):
            own_lab.habits.power_off_reverts = obeys
            wait(vm.PowerOnVM_Task())
            guest.write(2000, 0, b"lost")
            wait(vm.PowerOffVM_Task())
            assert (guest.read(2000, 0, 4) == bytes(4)) == obeys
        kinds_of_tasks = [
            event.info.descriptionId for event in client.events(eventTypeId=["vim.event.TaskEvent"])
        ]
        assert not [kind for kind in kinds_of_tasks if "revert" in kind]


def test_events_that_come_late(own_lab: Lab) -> None:
    own_lab.habits.events_late = 3600
    with Client(own_lab) as client:
        guest, vm = client.vm()
        assert client.events(entity=ByEntity(entity=vm, recursion="self")) == []
        own_lab.habits.events_late = 0
        assert client.events(entity=ByEntity(entity=vm, recursion="self")) != []


@pytest.mark.parametrize("kept", ["newest", "oldest"])
def test_a_collector_that_has_not_all_events(own_lab: Lab, kept: str) -> None:
    with Client(own_lab) as client:
        guest, vm = client.vm()
        for note in "abcd":
            reconfigure(vm, annotation=note)
        own_lab.habits.most_events, own_lab.habits.kept_events = 2, kept
        spec = vim.event.EventFilterSpec(
            entity=ByEntity(entity=vm, recursion="self"), type=[vim.event.VmReconfiguredEvent]
        )
        collector = client.content.eventManager.CreateCollectorForEvents(spec)
        collector.RewindCollector()
        read = [event.configSpec.annotation for event in collector.ReadNextEvents(100)]
        assert read == (["c", "d"] if kept == "newest" else ["a", "b"])


def test_events_without_chains(own_lab: Lab) -> None:
    own_lab.habits.chain_zero = True
    with Client(own_lab) as client:
        guest, vm = client.vm()
        client.snapshot(vm)
        events = client.events(entity=ByEntity(entity=vm, recursion="self"))
        assert {event.chainId for event in events} == {0}
        assert events[-1].info.eventChainId == 0


def test_a_history_that_is_lost_numbers_events_anew(own_lab: Lab) -> None:
    with Client(own_lab) as client:
        client.vm()
        own_lab.vcenter.events.lose()
        assert client.events() == []
        client.content.eventManager.LogUserEvent(client.find("Lab"), "hello")
        assert [event.key for event in client.events()] == [1]


def test_another_vcenter_with_the_same_hosts(own_lab: Lab) -> None:
    with Client(own_lab) as client:
        before = client.si.RetrieveContent().about.instanceUuid
        own_lab.vcenter.instance_uuid = "5f0e7b6c-0000-4000-8000-000000000001"
        assert client.si.RetrieveContent().about.instanceUuid not in (None, before)
