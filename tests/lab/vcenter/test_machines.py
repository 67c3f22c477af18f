# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Creating VMs and changing them, but for their devices."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import MIB, Client, chain, disk, new_disk, reconfigure, wait


def create(client: Client, folder: str = "Lab/vm", pool: str = "", **values: Any) -> Any:
    values.setdefault("files", vim.vm.FileInfo(vmPathName="[datastore1]"))
    spec = vim.vm.ConfigSpec(**values)
    where = client.find(pool or "Lab/host/esx1.lab/Resources")
    return wait(client.find(folder).CreateVM_Task(spec, where))


def test_a_new_vm(client: Client) -> None:
    vm = create(
        client,
        name="full",
        numCPUs=4,
        numCoresPerSocket=2,
        memoryMB=1024,
        annotation="<&> 中文",
        guestId="debian12_64Guest",
        version="vmx-21",
        firmware="efi",
        bootOptions=vim.vm.BootOptions(efiSecureBootEnabled=True),
        extraConfig=[vim.option.OptionValue(key="disk.EnableUUID", value="TRUE")],
        uuid="564d1234-0000-1111-2222-333344445555",
        instanceUuid="50231234-0000-1111-2222-333344445555",
    )
    config = vm.config
    assert (config.name, vm.name) == ("full", "full")
    hardware = config.hardware
    assert (hardware.numCPU, hardware.numCoresPerSocket, hardware.memoryMB) == (4, 2, 1024)
    assert config.annotation == "<&> 中文"
    assert (config.version, config.firmware) == ("vmx-21", "efi")
    assert config.bootOptions.efiSecureBootEnabled is True
    assert config.bootOptions.bootDelay == 0
    assert config.uuid == "564d1234-0000-1111-2222-333344445555"
    assert config.instanceUuid == "50231234-0000-1111-2222-333344445555"
    options = {option.key: option.value for option in config.extraConfig}
    assert options["disk.EnableUUID"] == "TRUE"
    assert options["nvram"] == "full.nvram"
    assert config.files.vmPathName == "[datastore1] full/full.vmx"
    assert vm.summary.config.vmPathName == config.files.vmPathName
    assert vm.summary.config.numCpu == 4
    assert (vm.parent.name, vm.runtime.host.name) == ("vm", "esx1.lab")
    assert vm.runtime.powerState == "poweredOff"
    assert vm.runtime.connectionState == "connected"
    assert vm.capability.changeTrackingSupported
    assert [d.name for d in vm.datastore] == ["datastore1"]
    wait(vm.Destroy_Task())


def test_names_of_vms(client: Client) -> None:
    vm = create(client, name="a/b 中文")
    assert vm.name == vm.config.name == "a%2fb 中文"
    assert client.find("Lab/vm/a%2fb 中文") == vm
    with pytest.raises(vim.fault.DuplicateName) as caught:
        create(client, name="a/b 中文")
    assert caught.value.object == vm
    other = create(client, name="a/b 中文", folder="Lab/vm/Production")
    assert other.config.files.vmPathName == "[datastore1] a%2fb 中文_1/a%2fb 中文.vmx"
    for bad in ("", "x" * 81):
        with pytest.raises(vim.fault.InvalidName):
            create(client, name=bad)
    wait(other.Rename_Task("other"))
    assert (other.name, other.config.name) == ("other", "other")
    assert other.config.files.vmPathName.endswith("/a%2fb 中文.vmx")
    with pytest.raises(vim.fault.DuplicateName):
        third = create(client, name="third")
        reconfigure(third, name="a/b 中文")
    reconfigure(third, name="fourth")
    assert client.find("Lab/vm/fourth") == third
    for gone in (vm, other, third):
        wait(gone.Destroy_Task())


def test_names_too_long_for_files(client: Client) -> None:
    guest, vm = client.vm()
    for name in ("中" * 80, "..", ".hidden", "a" * 80):
        made = create(client, name=name)
        assert made.name == name
        reconfigure(made, new_disk(MIB, 200))
        client.snapshot(made)
        wait(made.Destroy_Task())


def test_a_failed_creation_leaves_nothing(lab: Lab, client: Client) -> None:
    with pytest.raises(vim.fault.InvalidController):
        create(client, name="half", deviceChange=[new_disk(MIB, 4711)])
    assert client.find("Lab/vm/half") is None
    assert not lab.vcenter.files.exists("[datastore1] half")


@pytest.mark.parametrize(
    ("values", "fault", "property_"),
    [
        ({"memoryMB": 255}, vmodl.fault.InvalidArgument, "configSpec.memoryMB"),
        ({"numCPUs": 0}, vmodl.fault.InvalidArgument, "configSpec.numCPUs"),
        (
            {"numCPUs": 3, "numCoresPerSocket": 2},
            vmodl.fault.InvalidArgument,
            "configSpec.numCoresPerSocket",
        ),
        ({"version": "8"}, vmodl.fault.InvalidArgument, "configSpec.version"),
        ({"uuid": "x"}, vmodl.fault.InvalidArgument, "configSpec.uuid"),
        ({"files": None}, vmodl.fault.InvalidArgument, "configSpec.files.vmPathName"),
    ],
)
def test_bad_values(client: Client, values: Any, fault: Any, property_: str) -> None:
    with pytest.raises(fault) as caught:
        create(client, name="bad", **values)
    assert caught.value.invalidProperty == property_


def test_bad_places(client: Client) -> None:
    with pytest.raises(vim.fault.InvalidDatastorePath):
        create(client, name="bad", files=vim.vm.FileInfo(vmPathName="[nowhere]"))
    with pytest.raises(vim.fault.InvalidDatastorePath):
        create(client, name="bad", files=vim.vm.FileInfo(vmPathName="[remote1]"))
    with pytest.raises(vmodl.fault.NotSupported):
        create(client, name="bad", folder="Lab/host")
    with pytest.raises(vmodl.fault.NotSupported, match="vmProfile"):
        create(client, name="bad", vmProfile=[vim.vm.DefinedProfileSpec(profileId="x")])


def test_an_explicit_configuration_path(client: Client) -> None:
    files = vim.vm.FileInfo(vmPathName="[datastore2] folder/file.vmx")
    vm = create(client, name="explicit", files=files)
    assert vm.config.files.vmPathName == "[datastore2] folder/file.vmx"
    with pytest.raises(vim.fault.FileAlreadyExists):
        create(client, name="explicit 2", files=files)
    wait(vm.Destroy_Task())


def test_instance_uuids_are_kept_apart(client: Client) -> None:
    guest, vm = client.vm()
    taken = vm.config.instanceUuid
    other = create(client, name="twin", instanceUuid=taken)
    assert other.config.instanceUuid != taken
    wait(other.Destroy_Task())


def test_reconfiguring(client: Client) -> None:
    guest, vm = client.vm()
    before = vm.config
    reconfigure(
        vm,
        numCPUs=2,
        memoryMB=512,
        annotation="new",
        extraConfig=[vim.option.OptionValue(key="a", value="1")],
    )
    after = vm.config
    assert (after.hardware.numCPU, after.hardware.memoryMB) == (2, 512)
    assert after.annotation == "new"
    assert after.changeVersion != before.changeVersion
    assert (after.uuid, after.guestId) == (before.uuid, before.guestId)
    reconfigure(vm, extraConfig=[vim.option.OptionValue(key="a", value="")])
    assert "a" not in [option.key for option in vm.config.extraConfig]
    with pytest.raises(vim.fault.ConcurrentAccess):
        reconfigure(vm, changeVersion=before.changeVersion, numCPUs=1)
    reconfigure(vm, changeVersion=vm.config.changeVersion, numCPUs=1)


def test_a_reconfiguration_is_all_or_nothing(client: Client) -> None:
    guest, vm = client.vm()
    with pytest.raises(vim.fault.InvalidController):
        reconfigure(vm, new_disk(MIB), new_disk(MIB, 4711), memoryMB=512, name="new name")
    assert vm.config.hardware.memoryMB == 256
    assert vm.name != "new name"
    assert guest.disks == [2000]
    folder = vm.config.files.vmPathName.rpartition("/")[0]
    assert [p for p in client.lab.store.list("datastore1") if p.startswith(folder)] == [
        guest.path(2000)
    ]


def test_power(client: Client) -> None:
    guest, vm = client.vm()
    wait(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == "poweredOn"
    assert vm.runtime.bootTime
    assert vm.guest.toolsRunningStatus == "guestToolsRunning"
    for attempt in (vm.PowerOnVM_Task, vm.Destroy_Task):
        with pytest.raises(vim.fault.InvalidPowerState) as caught:
            wait(attempt())
        assert caught.value.existingState == "poweredOn"
    with pytest.raises(vim.fault.InvalidPowerState):
        vm.UnregisterVM()
    with pytest.raises(vim.fault.MemoryHotPlugNotSupported):
        reconfigure(vm, memoryMB=512)
    with pytest.raises(vim.fault.CpuHotPlugNotSupported):
        reconfigure(vm, numCPUs=2)
    wait(vm.ResetVM_Task())
    wait(vm.SuspendVM_Task())
    assert vm.runtime.powerState == "suspended"
    wait(vm.PowerOnVM_Task())
    vm.ShutdownGuest()
    with pytest.raises(vim.fault.InvalidPowerState):
        wait(vm.PowerOffVM_Task())
    wait(vm.Destroy_Task())


def test_templates(client: Client) -> None:
    guest, vm = client.vm()
    vm.MarkAsTemplate()
    assert vm.config.template
    assert vm.summary.config.template
    assert vm.resourcePool is None
    for attempt in (
        lambda: client.snapshot(vm),
        lambda: wait(vm.PowerOnVM_Task()),
        lambda: reconfigure(vm, memoryMB=512),
    ):
        with pytest.raises(vmodl.fault.NotSupported):
            attempt()
    pool = client.find("Lab/host/Cluster/Resources")
    vm.MarkAsVirtualMachine(pool, None)
    assert not vm.config.template
    assert (vm.resourcePool, vm.runtime.host.name) == (pool, "esx2.lab")
    client.snapshot(vm)


def test_registering_again_gives_new_ids(client: Client) -> None:
    guest, vm = client.vm()
    guest.write(2000, 0, b"one")
    first = client.snapshot(vm, "first")
    guest.write(2000, 0, b"two")
    second = client.snapshot(vm, "second")
    name, path, folder = vm.name, vm.config.files.vmPathName, vm.parent
    pool = vm.resourcePool
    ids = [node.id for node in vm.snapshot.rootSnapshotList]
    client.lab.habits.task_seconds = 2  # longer than the calls that are to find it running
    busy = vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="x"))
    for attempt in (vm.UnregisterVM, vm.MarkAsTemplate):
        with pytest.raises(vim.fault.TaskInProgress):
            attempt()
    wait(busy)
    client.lab.habits.task_seconds = 0.0
    vm.UnregisterVM()
    assert client.find(f"Lab/vm/{name}") is None
    for gone in (vm, first, second):
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            _ = gone.config
    back = wait(folder.RegisterVM_Task(path, None, False, pool, None))
    assert back._moId != vm._moId
    assert back.name == name
    root = back.snapshot.rootSnapshotList[0]
    assert root.snapshot._moId != first._moId
    assert [root.id] == ids
    assert (root.name, root.childSnapshotList[0].name) == ("first", "second")
    assert back.snapshot.currentSnapshot == root.childSnapshotList[0].snapshot
    again = client.lab.guest(name)
    assert again.read(2000, 0, 3, "first") == b"one"
    with pytest.raises(vim.fault.AlreadyExists):
        wait(folder.RegisterVM_Task(path, "x", False, pool, None))
    with pytest.raises(vim.fault.FileNotFound):
        wait(folder.RegisterVM_Task("[datastore1] no/no.vmx", None, False, pool, None))
    third = client.snapshot(back, "third")
    assert back.snapshot.rootSnapshotList[0].childSnapshotList[0].childSnapshotList[0].id == 3
    assert third.vm == back
    events = client.events(eventTypeId=["vim.event.VmRegisteredEvent"])
    assert events[-1].vm.vm == back


def test_destroying_deletes_all_files(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    for name in "abc":
        client.snapshot(vm, name)
    wait(vm.snapshot.rootSnapshotList[0].snapshot.RevertToSnapshot_Task())
    client.snapshot(vm, "d")
    folder = vm.config.files.vmPathName.rpartition("/")[0]
    assert lab.vcenter.files.exists(folder)
    wait(vm.Destroy_Task())
    assert not lab.vcenter.files.exists(folder)
    assert not [path for path in lab.store.list("datastore1") if path.startswith(folder + "/")]


def test_moving_to_another_datastore(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    guest.write(2000, 0, b"a" * 4096)
    first = client.snapshot(vm, "first")
    guest.write(2000, 0, b"b" * 4096)
    target = client.find("Lab/datastore/datastore2")
    old_folder = vm.config.files.vmPathName.rpartition("/")[0]
    base_id = disk(first.config).backing.changeId
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=target)))
    assert vm.config.files.vmPathName.startswith("[datastore2] ")
    assert {
        d.backing.fileName[:12] for d in vm.config.hardware.device if d.key < 2002 and d.key > 1999
    } == {"[datastore2]"}
    backing = disk(first.config).backing
    assert backing.fileName.startswith("[datastore2]")
    assert backing.datastore == target
    assert backing.changeId == base_id
    assert guest.read(2000, 0, 1, first._moId) == b"a"
    assert guest.read(2000, 0, 1) == b"b"
    assert list(vm.datastore) == [target]
    assert not lab.vcenter.files.exists(old_folder)
    wait(first.RevertToSnapshot_Task())
    assert guest.read(2000, 0, 1) == b"a"
    source = client.find("Lab/datastore/datastore1")
    locator = vim.vm.RelocateSpec.DiskLocator(diskId=2001, datastore=source)
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(disk=[locator])))
    assert disk(vm.config, 2001).backing.fileName.startswith("[datastore1]")
    assert disk(vm.config).backing.fileName.startswith("[datastore2]")
    with pytest.raises(vim.fault.InvalidDatastorePath):
        remote = client.find("Sites/Branch%2fOffice/Remote/datastore/remote1")
        wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=remote)))
    wait(vm.Destroy_Task())


def test_moving_may_reset_change_tracking(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    target = client.find("Lab/datastore/datastore2")
    before = disk(vm.config).backing.changeId
    lab.habits.relocate_resets_tracking = True
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(datastore=target)))
    after = disk(vm.config).backing.changeId
    assert after.partition("/")[0] != before.partition("/")[0]


def test_moving_within_the_inventory(client: Client) -> None:
    guest, vm = client.vm()
    host = client.find("Lab/host/Cluster").host[1]
    pool = client.find("Lab/host/Cluster/Resources/Pool")
    folder = client.find("Lab/vm/Production")
    before = disk(vm.config).backing.fileName
    wait(vm.RelocateVM_Task(vim.vm.RelocateSpec(host=host, pool=pool, folder=folder)))
    assert (vm.runtime.host, vm.resourcePool, vm.parent) == (host, pool, folder)
    assert disk(vm.config).backing.fileName == before
    wait(vm.Destroy_Task())


def test_cloning(client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"a" * 4096)
    snapshot = client.snapshot(vm)
    guest.write(2000, 0, b"b" * 4096)
    folder = client.find("Lab/vm")
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    clone = wait(vm.CloneVM_Task(folder, f"{vm.name} clone", spec))
    copied = client.lab.guest(clone._moId)
    assert copied.read(2000, 0, 1) == b"b"
    assert clone.snapshot is None
    assert clone.config.uuid != vm.config.uuid
    assert disk(clone.config).backing.uuid != disk(vm.config).backing.uuid
    assert disk(clone.config).backing.parent is None
    spec.snapshot = snapshot
    spec.config = vim.vm.ConfigSpec(memoryMB=1024)
    older = wait(vm.CloneVM_Task(folder, f"{vm.name} older", spec))
    assert client.lab.guest(older._moId).read(2000, 0, 1) == b"a"
    assert older.config.hardware.memoryMB == 1024
    copied.write(2000, 0, b"c")
    assert guest.read(2000, 0, 1) == b"b"
    with pytest.raises(vim.fault.DuplicateName):
        wait(vm.CloneVM_Task(folder, vm.name, spec))


def test_a_linked_clone(client: Client) -> None:
    """It reads from the files of its source, is tracked by itself, and goes without them."""
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"a" * 4096)
    snapshot = client.snapshot(vm)
    guest.write(2000, 0, b"b" * 4096)
    move = vim.vm.RelocateSpec(diskMoveType="createNewChildDiskBacking")
    spec = vim.vm.CloneSpec(location=move, powerOn=False, template=False)
    folder = client.find("Lab/vm")
    with pytest.raises(vmodl.fault.InvalidArgument):
        wait(vm.CloneVM_Task(folder, f"{vm.name} link", spec))
    spec.snapshot = snapshot
    clone = wait(vm.CloneVM_Task(folder, f"{vm.name} link", spec))
    linked = client.lab.guest(clone._moId)
    assert linked.read(2000, 0, 1) == b"a"
    assert chain(disk(clone.config).backing) == [f"{vm.name} link.vmdk", f"{vm.name}.vmdk"]
    ids = [disk(config).backing.changeId for config in (clone.config, snapshot.config)]
    assert None not in ids and ids[0].split("/")[0] != ids[1].split("/")[0]
    linked.write(2000, 8192, b"c")
    assert guest.read(2000, 8192, 1) == b"\0"
    taken = client.snapshot(clone)
    wait(snapshot.RemoveSnapshot_Task(removeChildren=False))
    assert linked.read(2000, 0, 1, taken._moId) == b"a"
    wait(clone.Destroy_Task())
    assert guest.read(2000, 0, 1) == b"b"


def test_files_of_a_vm(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    snapshot = client.snapshot(vm)
    name = vm.name
    layout = vm.layoutEx
    files = {file.key: file for file in layout.file}
    by_type: dict[str, list[str]] = {}
    for file in layout.file:
        by_type.setdefault(file.type, []).append(file.name)
    assert by_type["config"] == [f"[datastore1] {name}/{name}.vmx"]
    assert by_type["nvram"] == [f"[datastore1] {name}/{name}.nvram"]
    assert sorted(by_type["diskDescriptor"]) == sorted(
        f"[datastore1] {name}/{name}{suffix}.vmdk" for suffix in ("", "-000001", "_1", "_1-000001")
    )
    (shown,) = layout.snapshot
    assert shown.key == snapshot
    assert files[shown.dataKey].type == "snapshotData"
    chain = [files[unit.fileKey[0]].name for unit in layout.disk[0].chain]
    assert chain == [
        f"[datastore1] {name}/{name}.vmdk",
        f"[datastore1] {name}/{name}-000001.vmdk",
    ]
    assert files[layout.disk[0].chain[0].fileKey[1]].size >= 0
    (usage,) = vm.storage.perDatastoreUsage
    assert usage.datastore.name == "datastore1"
    assert vm.summary.storage.committed == usage.committed > 0
