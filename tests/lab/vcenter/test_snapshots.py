# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import datetime
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import (
    MIB,
    Client,
    Device,
    Spec,
    chain,
    disk,
    disks,
    new_disk,
    reconfigure,
    remove,
    tree,
    wait,
)


def test_names_that_are_cut(lab: Lab, client: Client) -> None:
    _, vm = client.vm([MIB])
    lab.habits.longest_snapshot_name = 5
    snapshot = client.snapshot(vm, "first one")
    assert [node.name for node in vm.snapshot.rootSnapshotList] == ["first"]
    snapshot.RenameSnapshot("second one", None)
    assert [node.name for node in vm.snapshot.rootSnapshotList] == ["secon"]


def test_something_between_two_calls(lab: Lab, client: Client) -> None:
    _, vm = client.vm([MIB])
    seen: list[str] = []
    lab.habits.before_call = lambda method, session: seen.append(method)
    client.snapshot(vm, "first")
    lab.habits.before_call = None
    assert vm.name
    assert seen[0] == "CreateSnapshot_Task"
    assert seen.count("CreateSnapshot_Task") == 1


def test_a_snapshot(client: Client) -> None:
    guest, vm = client.vm([MIB, 2 * MIB])
    before = vm.config
    guest.write(2000, 0, b"old")
    snapshot = client.snapshot(vm, "first", "described")
    guest.write(2000, 0, b"new")
    info = vm.snapshot
    assert info.currentSnapshot == snapshot
    (node,) = info.rootSnapshotList
    assert (node.name, node.description, node.id) == ("first", "described", 1)
    assert (node.state, node.quiesced) == ("poweredOff", False)
    assert (node.snapshot, node.vm, snapshot.vm) == (snapshot, vm, vm)
    age = datetime.datetime.now(datetime.timezone.utc) - node.createTime
    assert abs(age.total_seconds()) < 60
    assert list(vm.rootSnapshot) == [snapshot]
    assert list(snapshot.childSnapshot) == []
    frozen, live = snapshot.config, vm.config
    name = vm.name
    assert [d.backing.fileName for d in disks(frozen)] == [
        d.backing.fileName for d in disks(before)
    ]
    assert chain(disk(live).backing) == [f"{name}-000001.vmdk", f"{name}.vmdk"]
    assert chain(disk(live, 2001).backing) == [f"{name}_1-000001.vmdk", f"{name}_1.vmdk"]
    assert guest.read(2000, 0, 3, "first") == b"old"
    assert guest.read(2000, 0, 3) == b"new"


def test_numbers_of_deltas_are_used_again(client: Client) -> None:
    guest, vm = client.vm([MIB])
    name = vm.name
    one = client.snapshot(vm, "1")
    client.snapshot(vm, "2")
    assert chain(disk(vm.config).backing)[0] == f"{name}-000002.vmdk"
    wait(one.RemoveSnapshot_Task(False))
    assert chain(disk(vm.config).backing) == [f"{name}-000002.vmdk", f"{name}.vmdk"]
    three = client.snapshot(vm, "3")
    assert chain(disk(vm.config).backing)[0] == f"{name}-000001.vmdk"
    assert [node.id for node in vm.snapshot.rootSnapshotList] == [2]
    assert vm.snapshot.rootSnapshotList[0].childSnapshotList[0].id == 3
    assert three == vm.snapshot.currentSnapshot


def test_reverting_brings_disks_and_configuration_back(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    guest.write(2000, 0, b"A")
    guest.write_nvram(b"nvram A")
    reconfigure(vm, annotation="A")
    a = client.snapshot(vm, "A")
    guest.write(2000, 0, b"B")
    guest.write_nvram(b"nvram B")
    added = new_disk(2 * MIB)
    reconfigure(
        vm,
        added,
        remove(disk(vm.config, 2001)),
        remove(disk(vm.config, 4000)),
        numCPUs=4,
        memoryMB=1024,
        annotation="B",
        name=f"{vm.name} renamed",
    )
    b = client.snapshot(vm, "B")
    assert guest.disks == [2000, 2001]
    guest.write(2001, 0, b"on the new disk")
    new_path = disk(b.config, 2001).backing.fileName
    wait(a.RevertToSnapshot_Task())
    config = vm.config
    assert vm.snapshot.currentSnapshot == a
    assert (config.hardware.numCPU, config.hardware.memoryMB) == (1, 256)
    assert config.annotation == "A"
    assert config.name == vm.name
    assert vm.name.endswith("renamed")
    assert disk(config, 4000)
    assert disk(config, 2001).capacityInBytes == MIB
    assert guest.read(2000, 0, 1) == b"A"
    assert guest.nvram() == b"nvram A"
    assert client.lab.store.exists(new_path)
    wait(b.RevertToSnapshot_Task())
    config = vm.config
    assert (config.hardware.numCPU, config.annotation) == (4, "B")
    assert disk(config, 2001).capacityInBytes == 2 * MIB
    assert guest.read(2000, 0, 1) == b"B"
    assert guest.read(2001, 0, 2) == b"\0\0"
    assert guest.nvram() == b"nvram B"
    assert tree(vm) == [("A", [("B", [])])]


def test_a_disk_the_snapshot_lacks_is_detached_and_its_file_stays(client: Client) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm, "A")
    reconfigure(vm, new_disk(MIB))
    guest.write(2001, 0, b"kept")
    path = guest.path(2001)
    wait(a.RevertToSnapshot_Task())
    assert guest.disks == [2000]
    reconfigure(vm, new_disk(0, path=path, create=False))
    assert guest.read(2001, 0, 4) == b"kept"


def test_reverting_gives_up_the_current_state_only(client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"1")
    one = client.snapshot(vm, "1")
    guest.write(2000, 0, b"2")
    two = client.snapshot(vm, "2")
    guest.write(2000, 0, b"lost")
    lost = guest.path(2000)
    wait(one.RevertToSnapshot_Task())
    assert not client.lab.store.exists(lost)
    guest.write(2000, 0, b"3")
    client.snapshot(vm, "3")
    assert tree(vm) == [("1", [("2", []), ("3", [])])]
    assert guest.read(2000, 0, 1, "2") == b"2"
    assert guest.read(2000, 0, 1, "3") == b"3"
    wait(vm.RevertToCurrentSnapshot_Task())
    assert guest.read(2000, 0, 4) == b"3\0\0\0"
    assert set(one.childSnapshot) == {two, vm.snapshot.currentSnapshot}


def test_reverting_without_a_snapshot(client: Client) -> None:
    guest, vm = client.vm([MIB])
    with pytest.raises(vim.fault.NotFound):
        wait(vm.RevertToCurrentSnapshot_Task())


@pytest.mark.parametrize("suppress", [False, True])
@pytest.mark.parametrize("memory", [False, True])
def test_power_after_reverting(client: Client, memory: bool, suppress: bool) -> None:
    guest, vm = client.vm([MIB], powered_on=True)
    snapshot = client.snapshot(vm, memory=memory)
    state = "poweredOn" if memory else "poweredOff"
    assert vm.snapshot.rootSnapshotList[0].state == state
    assert vm.runtime.powerState == "poweredOn"
    wait(snapshot.RevertToSnapshot_Task(suppressPowerOn=suppress))
    running = memory and not suppress
    assert vm.runtime.powerState == ("poweredOn" if running else "poweredOff")
    if not running:
        wait(snapshot.RevertToSnapshot_Task(suppressPowerOn=suppress))
        assert vm.runtime.powerState == ("poweredOn" if running else "poweredOff")


def test_a_suspended_vm(client: Client) -> None:
    guest, vm = client.vm([MIB], powered_on=True)
    wait(vm.SuspendVM_Task())
    snapshot = client.snapshot(vm)
    assert vm.snapshot.rootSnapshotList[0].state == "suspended"
    wait(vm.PowerOffVM_Task())
    wait(snapshot.RevertToSnapshot_Task())
    assert vm.runtime.powerState == "suspended"


def test_removing_in_the_middle(client: Client) -> None:
    guest, vm = client.vm([MIB])
    made = []
    for name in "ABC":
        guest.write(2000, 0, name.encode())
        made.append(client.snapshot(vm, name))
    guest.write(2000, 0, b"D")
    wait(made[1].RemoveSnapshot_Task(False))
    assert tree(vm) == [("A", [("C", [])])]
    for name in "AC":
        assert guest.read(2000, 0, 1, name) == name.encode()
    assert guest.read(2000, 0, 1) == b"D"
    assert len(chain(disk(vm.config).backing)) == 3
    assert not vm.runtime.consolidationNeeded
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        made[1].RemoveSnapshot_Task(False)


def forked(client: Client) -> tuple[Any, Any, dict[str, Any]]:
    """root with the children left and right; the current state is under right."""
    guest, vm = client.vm([MIB])
    made = {}
    for name in ("root", "left"):
        guest.write(2000, 0, name.encode())
        made[name] = client.snapshot(vm, name)
    wait(made["root"].RevertToSnapshot_Task())
    guest.write(2000, 0, b"right")
    made["right"] = client.snapshot(vm, "right")
    guest.write(2000, 0, b"now!!")
    return guest, vm, made


def contents(guest: Any, *names: str) -> list[bytes]:
    return [guest.read(2000, 0, 5, name).rstrip(b"\0") for name in names]


def test_removing_a_root_with_two_children_leaves_two_roots(client: Client) -> None:
    guest, vm, made = forked(client)
    base = chain(disk(made["root"].config).backing)
    wait(made["root"].RemoveSnapshot_Task(False))
    assert tree(vm) == [("left", []), ("right", [])]
    assert set(vm.rootSnapshot) == {made["left"], made["right"]}
    assert vm.snapshot.currentSnapshot == made["right"]
    # The base is still there, seen by nobody but in the chains.
    assert chain(disk(made["left"].config).backing)[1:] == base
    assert chain(disk(made["right"].config).backing)[1:] == base
    assert not vm.runtime.consolidationNeeded
    assert contents(guest, "left", "right") == [b"left", b"right"]
    assert guest.read(2000, 0, 5) == b"now!!"


@pytest.mark.parametrize("habit", ["removal", "consolidate"])
def test_a_hidden_link_is_merged_when_one_child_is_left(
    lab: Lab, client: Client, habit: str
) -> None:
    lab.habits.merge_links = habit
    guest, vm, made = forked(client)
    wait(made["root"].RemoveSnapshot_Task(False))
    wait(made["left"].RemoveSnapshot_Task(False))
    assert tree(vm) == [("right", [])]
    length = len(chain(disk(made["right"].config).backing))
    if habit == "removal":
        assert length == 1
        assert not vm.runtime.consolidationNeeded
    else:
        assert length == 2
        assert vm.runtime.consolidationNeeded
        wait(vm.ConsolidateVMDisks_Task())
        assert len(chain(disk(made["right"].config).backing)) == 1
        assert not vm.runtime.consolidationNeeded
    assert contents(guest, "right") == [b"right"]
    assert guest.read(2000, 0, 5) == b"now!!"
    wait(made["right"].RevertToSnapshot_Task())
    assert guest.read(2000, 0, 5) == b"right"


def test_a_revert_may_leave_a_hidden_link_to_consolidate(client: Client) -> None:
    guest, vm, made = forked(client)
    wait(made["right"].RemoveSnapshot_Task(False))
    assert vm.snapshot.currentSnapshot == made["root"]
    wait(made["root"].RemoveSnapshot_Task(False))
    assert vm.snapshot.currentSnapshot is None
    assert tree(vm) == [("left", [])]
    wait(made["left"].RevertToSnapshot_Task())
    assert vm.runtime.consolidationNeeded
    wait(vm.ConsolidateVMDisks_Task())
    assert len(chain(disk(vm.config).backing)) == 2
    assert guest.read(2000, 0, 5) == b"left\0"


def test_removing_with_children(client: Client) -> None:
    guest, vm, made = forked(client)
    wait(made["right"].RemoveSnapshot_Task(True))
    assert tree(vm) == [("root", [("left", [])])]
    assert vm.snapshot.currentSnapshot == made["root"]
    assert guest.read(2000, 0, 5) == b"now!!"
    wait(made["root"].RemoveSnapshot_Task(True))
    assert vm.snapshot is None
    assert len(chain(disk(vm.config).backing)) == 1
    assert guest.read(2000, 0, 5) == b"now!!"
    assert [p for p in client.lab.store.list("datastore1") if f"] {vm.name}/" in p] == [
        guest.path(2000)
    ]


def test_removing_all(client: Client) -> None:
    guest, vm, made = forked(client)
    wait(vm.RemoveAllSnapshots_Task())
    assert vm.snapshot is None
    assert list(vm.rootSnapshot) == []
    assert chain(disk(vm.config).backing) == [f"{vm.name}.vmdk"]
    assert guest.read(2000, 0, 5) == b"now!!"
    wait(vm.RemoveAllSnapshots_Task())


def test_removing_without_consolidation(client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"A")
    a = client.snapshot(vm, "A")
    guest.write(2000, 0, b"B")
    wait(a.RemoveSnapshot_Task(False, consolidate=False))
    assert vm.snapshot is None
    assert vm.runtime.consolidationNeeded
    assert len(chain(disk(vm.config).backing)) == 2
    again = client.snapshot(vm, "C")
    assert vm.runtime.consolidationNeeded
    wait(vm.ConsolidateVMDisks_Task())
    assert not vm.runtime.consolidationNeeded
    assert chain(disk(again.config).backing) == [f"{vm.name}.vmdk"]
    assert guest.read(2000, 0, 1, "C") == b"B"


def test_a_vm_without_nvram(client: Client) -> None:
    guest, vm = client.vm([MIB])
    client.lab.vcenter.files.delete(f"[datastore1] {vm.name}/{vm.name}.nvram")
    snapshot = client.snapshot(vm)
    guest.write_nvram(b"made since")
    wait(snapshot.RevertToSnapshot_Task())
    assert guest.nvram() == b"made since"


def test_renaming(client: Client) -> None:
    guest, vm = client.vm([MIB])
    one, two = client.snapshot(vm, "same"), client.snapshot(vm, "same")
    one.RenameSnapshot("new", None)
    two.RenameSnapshot(None, "described")
    root = vm.snapshot.rootSnapshotList[0]
    assert (root.name, root.description) == ("new", "")
    assert root.childSnapshotList[0].name == "same"
    assert root.childSnapshotList[0].description == "described"
    for attempt in (lambda: one.RenameSnapshot("", None), lambda: client.snapshot(vm, "")):
        with pytest.raises(vim.fault.InvalidName):
            attempt()


def test_the_deepest_tree(client: Client) -> None:
    guest, vm = client.vm([MIB])
    made = [client.snapshot(vm, str(number)) for number in range(32)]
    with pytest.raises(vim.fault.TooManySnapshotLevels):
        client.snapshot(vm, "one too many")
    wait(made[16].RevertToSnapshot_Task())
    client.snapshot(vm, "a branch")
    wait(made[31].RevertToSnapshot_Task())
    wait(made[5].RemoveSnapshot_Task(False))
    client.snapshot(vm, "room again")


def test_hidden_links_count_as_levels(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    for number in range(32):
        made = client.snapshot(vm, str(number))
    wait(made.RemoveSnapshot_Task(False, consolidate=False))
    with pytest.raises(vim.fault.TooManySnapshotLevels):
        client.snapshot(vm, "the chain is as long as before")


def test_independent_disks_stay_out(client: Client) -> None:
    guest, vm = client.vm([MIB])
    reconfigure(vm, new_disk(MIB, mode="independent_persistent"))
    guest.write(2001, 0, b"old")
    snapshot = client.snapshot(vm)
    guest.write(2001, 0, b"new")
    assert len(chain(disk(vm.config, 2001).backing)) == 1
    assert disk(snapshot.config, 2001).backing.diskMode == "independent_persistent"
    wait(snapshot.RevertToSnapshot_Task())
    assert guest.read(2001, 0, 3) == b"new"
    wait(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.MemorySnapshotOnIndependentDisk):
        client.snapshot(vm, memory=True)
    client.snapshot(vm)
    wait(vm.RemoveAllSnapshots_Task())
    assert guest.read(2001, 0, 3) == b"new"


def test_quiescing(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB], powered_on=True)
    lab.habits.quiesce_faults += [
        vim.fault.ApplicationQuiesceFault(msg="VSS"),
        vim.fault.FilesystemQuiesceFault(),
    ]
    client.snapshot(vm, "crash consistent")
    with pytest.raises(vim.fault.ApplicationQuiesceFault, match="VSS"):
        client.snapshot(vm, "q", quiesce=True)
    with pytest.raises(vim.fault.FilesystemQuiesceFault):
        client.snapshot(vm, "q", quiesce=True)
    client.snapshot(vm, "q", quiesce=True)
    spec = vim.vm.WindowsQuiesceSpec(vssBackupType=1)
    wait(vm.CreateSnapshotEx_Task("ex", None, False, spec))
    wait(vm.CreateSnapshotEx_Task("ex without", None, False, None))
    node = vm.snapshot.rootSnapshotList[0]
    quiesced = [node.quiesced]
    while node.childSnapshotList:
        node = node.childSnapshotList[0]
        quiesced.append(node.quiesced)
    assert quiesced == [False, True, True, False]


def test_snapshots_can_be_disabled(client: Client) -> None:
    guest, vm = client.vm([MIB])
    reconfigure(vm, flags=vim.vm.FlagInfo(snapshotDisabled=True))
    with pytest.raises(vim.fault.SnapshotDisabled):
        client.snapshot(vm)
    reconfigure(vm, flags=vim.vm.FlagInfo(snapshotDisabled=False, snapshotLocked=True))
    with pytest.raises(vim.fault.SnapshotLocked):
        client.snapshot(vm)


def test_disks_that_come_and_go(client: Client) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm, "A")
    reconfigure(vm, new_disk(MIB))
    guest.write(2001, 0, b"B")
    b = client.snapshot(vm, "B")
    reconfigure(vm, remove(disk(vm.config, 2001), destroy=True))
    c = client.snapshot(vm, "C")
    assert [len(disks(s.config)) for s in (a, b, c)] == [1, 2, 1]
    assert guest.read(2001, 0, 1, "B") == b"B"
    wait(a.RemoveSnapshot_Task(False))
    wait(c.RemoveSnapshot_Task(False))
    assert guest.read(2001, 0, 1, "B") == b"B"
    wait(b.RevertToSnapshot_Task())
    assert guest.read(2001, 0, 1) == b"B"
    assert not vm.runtime.consolidationNeeded
    wait(vm.RemoveAllSnapshots_Task())
    assert [len(chain(d.backing)) for d in disks(vm.config)] == [1, 1]


def test_a_disk_only_deleted_snapshots_had_stays_on_the_datastore(client: Client) -> None:
    guest, vm = client.vm([MIB])
    reconfigure(vm, new_disk(MIB))
    snapshot = client.snapshot(vm)
    path = disk(snapshot.config, 2001).backing.fileName
    reconfigure(vm, remove(disk(vm.config, 2001), destroy=True))
    wait(snapshot.RemoveSnapshot_Task(False))
    assert guest.disks == [2000]
    assert client.lab.store.exists(path)
    assert not vm.runtime.consolidationNeeded
    reconfigure(vm, new_disk(0, path=path, create=False))
    guest.write(2001, 0, b"a disk like any other")


def test_a_snapshots_disk_cannot_be_attached(client: Client) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm, "A")
    client.snapshot(vm, "B")
    wait(a.RevertToSnapshot_Task())
    other, other_vm = client.vm([MIB])
    for snapshot in "AB":
        path = guest.path(2000, snapshot)
        with pytest.raises(vim.fault.FileLocked):
            reconfigure(other_vm, new_disk(0, path=path, create=False))


def test_a_missing_disk_file(client: Client) -> None:
    guest, vm = client.vm([MIB])
    reconfigure(vm, new_disk(MIB))
    snapshot = client.snapshot(vm)
    reconfigure(vm, remove(disk(vm.config, 2001), destroy=True))
    client.lab.store.delete(disk(snapshot.config, 2001).backing.fileName)
    before = guest.path(2000)
    with pytest.raises(vim.fault.FileNotFound):
        wait(snapshot.RevertToSnapshot_Task())
    assert guest.path(2000) == before
    guest.write(2000, 0, b"still works")


def test_pass_through_devices_prevent_snapshots(client: Client) -> None:
    guest, vm = client.vm([MIB])
    device = Device.VirtualPCIPassthrough(
        key=-1,
        backing=Device.VirtualPCIPassthrough.DeviceBackingInfo(
            deviceName="gpu", id="0", deviceId="1", systemId="x", vendorId=1
        ),
    )
    reconfigure(vm, Spec(operation="add", device=device))
    with pytest.raises(vim.fault.SnapshotIncompatibleDeviceInVm, match="PCI device 1"):
        client.snapshot(vm)


def test_tracking_goes_back_with_the_configuration(lab: Lab, client: Client) -> None:
    for habit in (True, False):
        lab.habits.revert_restores_tracking = habit
        guest, vm = client.vm([MIB], cbt=False)
        snapshot = client.snapshot(vm)
        reconfigure(vm, changeTrackingEnabled=True)
        wait(snapshot.RevertToSnapshot_Task())
        assert vm.config.changeTrackingEnabled is not habit
        assert (disk(vm.config).backing.changeId is None) is habit


def test_options_go_back_with_the_configuration(own_lab: Lab) -> None:
    for habit in (True, False):
        own_lab.habits.revert_restores_options = habit
        with Client(own_lab) as client:
            guest, vm = client.vm([MIB])
            snapshot = client.snapshot(vm)
            reconfigure(vm, extraConfig=[vim.option.OptionValue(key="a", value="1")])
            wait(snapshot.RevertToSnapshot_Task())
            assert ("a" not in {option.key for option in vm.config.extraConfig}) is habit
