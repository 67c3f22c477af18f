# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from vmsnap_lab.lab import Lab

from .client import MIB, Client, Device, Spec, disk, disks, new_disk, reconfigure, remove, wait

CONTROLLERS = {
    "lsilogic": (Device.VirtualLsiLogicController, 1000, 2000),
    "buslogic": (Device.VirtualBusLogicController, 1000, 2000),
    "sas": (Device.VirtualLsiLogicSASController, 1000, 2000),
    "pvscsi": (Device.ParaVirtualSCSIController, 1000, 2000),
    "sata": (Device.VirtualAHCIController, 15000, 16000),
    "nvme": (Device.VirtualNVMEController, 31000, 32000),
}


def add(device: Any) -> Any:
    return Spec(operation="add", device=device)


def controller(kind: Any, key: int = -100, bus: int = 0) -> Any:
    made = kind(key=key, busNumber=bus)
    if isinstance(made, Device.VirtualSCSIController):
        made.sharedBus = "noSharing"
    return add(made)


def keys(vm: Any) -> list[int]:
    return [device.key for device in vm.config.hardware.device]


def test_every_vm_has_the_usual_devices(client: Client) -> None:
    guest, vm = client.vm([], network=None)
    assert keys(vm) == [100, 200, 201, 300, 400, 500, 600, 700, 12000]
    ps2 = disk(vm.config, 300)
    assert list(ps2.device) == [600, 700]


@pytest.mark.parametrize("name", CONTROLLERS)
def test_disks_on_all_kinds_of_controllers(client: Client, name: str) -> None:
    kind, controller_key, disk_key = CONTROLLERS[name]
    guest, vm = client.vm([])
    reconfigure(
        vm,
        new_disk(MIB, -100, 0),
        controller(kind),
        new_disk(2 * MIB, -100, 3),
        new_disk(3 * MIB, -100),
    )
    shown = disk(vm.config, controller_key)
    assert type(shown) is kind
    assert list(shown.device) == [disk_key, disk_key + 1, disk_key + 3]
    assert [(d.unitNumber, d.capacityInKB // 1024) for d in disks(vm.config)] == [
        (0, 1),
        (1, 3),
        (3, 2),
    ]
    assert {d.controllerKey for d in disks(vm.config)} == {controller_key}
    assert {d.capacityInKB // 1024: d.deviceInfo.label for d in disks(vm.config)} == {
        1: "Hard disk 1",
        2: "Hard disk 2",
        3: "Hard disk 3",
    }
    guest.write(disk_key + 3, 0, b"x")
    client.snapshot(vm)
    assert disk(vm.config, disk_key + 3).backing.parent is not None


def test_disks_on_ide(client: Client) -> None:
    guest, vm = client.vm([])
    reconfigure(vm, new_disk(MIB, 200), new_disk(MIB, 200), new_disk(MIB, 201))
    assert guest.disks == [3000, 3001, 3002]
    with pytest.raises(vim.fault.TooManyDevices):
        reconfigure(vm, new_disk(MIB, 200))


def test_several_controllers_of_a_kind(client: Client) -> None:
    guest, vm = client.vm([])
    reconfigure(
        vm,
        controller(Device.ParaVirtualSCSIController, -1),
        controller(Device.VirtualLsiLogicController, -2),
        controller(Device.ParaVirtualSCSIController, -3, 3),
        new_disk(MIB, -3, 2),
    )
    assert [key for key in keys(vm) if 1000 <= key < 1004] == [1000, 1001, 1003]
    assert guest.disks == [2050]
    reconfigure(vm, controller(Device.ParaVirtualSCSIController))
    assert 1002 in keys(vm)
    with pytest.raises(vim.fault.TooManyDevices):
        reconfigure(vm, controller(Device.ParaVirtualSCSIController))


def test_units(client: Client) -> None:
    guest, vm = client.vm([])
    reconfigure(vm, controller(Device.VirtualLsiLogicController))
    for unit in (7, 16, 99):
        with pytest.raises(vim.fault.InvalidDeviceSpec) as caught:
            reconfigure(vm, new_disk(MIB, 1000, unit))
        assert caught.value.property == "virtualDeviceSpec.device.unitNumber"
    reconfigure(vm, *(new_disk(MIB, 1000) for _ in range(15)))
    assert [d.unitNumber for d in disks(vm.config)] == [u for u in range(16) if u != 7]
    with pytest.raises(vim.fault.TooManyDevices):
        reconfigure(vm, new_disk(MIB, 1000))
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        reconfigure(vm, new_disk(MIB, 1000, 3))


def test_paravirtual_controllers_take_more(client: Client) -> None:
    guest, vm = client.vm([])
    reconfigure(vm, controller(Device.ParaVirtualSCSIController), new_disk(MIB, -100, 64))
    assert disks(vm.config)[0].unitNumber == 64


def test_the_index_of_the_bad_device_is_reported(client: Client) -> None:
    guest, vm = client.vm()
    with pytest.raises(vim.fault.InvalidController) as caught:
        reconfigure(vm, new_disk(MIB), new_disk(MIB, 1003))
    assert (caught.value.deviceIndex, caught.value.controllerKey) == (1, 1003)
    spec = new_disk(MIB)
    spec.device.controllerKey = None
    with pytest.raises(vim.fault.MissingController):
        reconfigure(vm, spec)


def test_a_controller_in_use_stays(client: Client) -> None:
    guest, vm = client.vm()
    scsi = disk(vm.config, 1000)
    with pytest.raises(vim.fault.InvalidController):
        reconfigure(vm, remove(scsi))
    reconfigure(vm, remove(scsi), remove(disk(vm.config), destroy=True))
    assert 1000 not in keys(vm)


def test_moving_a_disk_to_another_unit(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    moved = disk(vm.config, 2001)
    moved.unitNumber = 5
    reconfigure(vm, Spec(operation="edit", device=moved))
    assert guest.disks == [2000, 2005]


def test_files_of_new_disks(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    name = vm.name
    datastore = client.find("Lab/datastore/datastore2")
    reconfigure(
        vm,
        new_disk(MIB),
        new_disk(MIB, path=f"[datastore1] {name}/data 中.vmdk"),
        new_disk(MIB, path="[datastore2]"),
    )
    assert [d.backing.fileName for d in disks(vm.config)] == [
        f"[datastore1] {name}/{name}.vmdk",
        f"[datastore1] {name}/{name}_1.vmdk",
        f"[datastore1] {name}/{name}_2.vmdk",
        f"[datastore1] {name}/data 中.vmdk",
        f"[datastore2] {name}/{name}.vmdk",
    ]
    assert disk(vm.config, 2004).backing.datastore == datastore
    assert len({d.backing.uuid for d in disks(vm.config)}) == 5
    with pytest.raises(vim.fault.FileAlreadyExists):
        reconfigure(vm, new_disk(MIB, path=f"[datastore1] {name}/{name}_2.vmdk"))
    with pytest.raises(vim.fault.InvalidDatastorePath):
        reconfigure(vm, new_disk(MIB, path="[datastore3]"))


@pytest.mark.parametrize("capacity", [0, 1023, 64 << 40])
def test_bad_capacities(client: Client, capacity: int) -> None:
    guest, vm = client.vm()
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        reconfigure(vm, new_disk(capacity))
    spec = new_disk(MIB)
    spec.device.capacityInBytes = 2 * MIB
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        reconfigure(vm, spec)


def test_odd_capacities_in_bytes(client: Client) -> None:
    guest, vm = client.vm()
    spec = new_disk(0)
    spec.device.capacityInBytes = MIB + 512
    reconfigure(vm, spec)
    assert disk(vm.config, 2001).capacityInBytes == MIB + 512


def test_detaching_and_attaching_a_disk(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    guest.write(2001, 0, b"kept")
    device = disk(vm.config, 2001)
    path, uuid = device.backing.fileName, device.backing.uuid
    reconfigure(vm, remove(device))
    assert guest.disks == [2000]
    assert client.lab.store.exists(path)
    other, other_vm = client.vm([])
    reconfigure(
        other_vm,
        controller(Device.VirtualAHCIController),
        new_disk(0, -100, path=path, create=False),
    )
    attached = disk(other_vm.config, 16000)
    assert (attached.backing.uuid, attached.capacityInBytes) == (uuid, MIB)
    assert other.read(16000, 0, 4) == b"kept"
    with pytest.raises(vim.fault.InvalidDeviceBacking):
        reconfigure(other_vm, new_disk(0, 15000, path=path, create=False))
    with pytest.raises(vim.fault.FileNotFound):
        reconfigure(vm, new_disk(0, path="[datastore1] no/no.vmdk", create=False))
    wait(other_vm.Destroy_Task())
    assert not client.lab.store.exists(path)


def test_destroying_a_disk(client: Client) -> None:
    guest, vm = client.vm([MIB, MIB])
    path = guest.path(2001)
    reconfigure(vm, remove(disk(vm.config, 2001), destroy=True))
    assert not client.lab.store.exists(path)
    missing = disk(vm.config)
    missing.key = 2009
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        reconfigure(vm, remove(missing))


def test_growing(client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, MIB - 4, b"tail")
    device = disk(vm.config)
    device.capacityInKB = 2048
    reconfigure(vm, Spec(operation="edit", device=device))
    assert disk(vm.config).capacityInBytes == 2 * MIB
    assert guest.read(2000, MIB - 4, 8) == b"tail\0\0\0\0"
    device = disk(vm.config)
    device.capacityInBytes = 3 * MIB
    reconfigure(vm, Spec(operation="edit", device=device))
    assert disk(vm.config).capacityInKB == 3072
    device.capacityInBytes, device.capacityInKB = MIB, 1024
    with pytest.raises(vim.fault.InvalidDeviceSpec):
        reconfigure(vm, Spec(operation="edit", device=device))


def test_a_disk_with_snapshots_does_not_grow(client: Client) -> None:
    guest, vm = client.vm([MIB])
    client.snapshot(vm)
    device = disk(vm.config)
    device.capacityInKB = device.capacityInBytes = 0
    device.capacityInBytes, device.capacityInKB = 2 * MIB, 2048
    with pytest.raises(vim.fault.InvalidDeviceOperation) as caught:
        reconfigure(vm, Spec(operation="edit", device=device))
    assert (caught.value.deviceIndex, caught.value.badOp) == (0, "edit")
    wait(vm.RemoveAllSnapshots_Task())
    with pytest.raises(vim.fault.InvalidDeviceSpec):  # it still names the delta
        reconfigure(vm, Spec(operation="edit", device=device))
    device = disk(vm.config)
    device.capacityInBytes, device.capacityInKB = 2 * MIB, 2048
    reconfigure(vm, Spec(operation="edit", device=device))
    assert client.lab.store.capacity(guest.path(2000)) == 2 * MIB


def test_nics(client: Client) -> None:
    guest, vm = client.vm(network="VM Network")
    Card = Device.VirtualEthernetCard
    portgroup = client.find("Lab/network/dv-lab")
    port = vim.dvs.PortConnection(
        switchUuid=portgroup.config.distributedVirtualSwitch.uuid, portgroupKey=portgroup.key
    )
    reconfigure(
        vm,
        add(Device.VirtualE1000(key=-1, backing=Card.DistributedVirtualPortBackingInfo(port=port))),
        add(
            Device.VirtualVmxnet3(
                key=-2,
                backing=Card.NetworkBackingInfo(deviceName="Storage Network"),
                addressType="manual",
                macAddress="00:50:56:01:02:03",
            )
        ),
    )
    assert sorted(network.name for network in vm.network) == [
        "Storage Network",
        "VM Network",
        "dv-lab",
    ]
    assert vm in portgroup.vm
    first, second, third = (disk(vm.config, key) for key in (4000, 4001, 4002))
    assert [type(card) for card in (first, second, third)] == [
        Device.VirtualVmxnet3,
        Device.VirtualE1000,
        Device.VirtualVmxnet3,
    ]
    assert third.macAddress == "00:50:56:01:02:03"
    assert third.addressType == "manual"
    assert first.macAddress != second.macAddress
    assert third.backing.network == client.find("Lab/network/Storage Network")
    assert third.deviceInfo.label == "Network adapter 3"
    third.connectable.startConnected = False
    reconfigure(vm, Spec(operation="edit", device=third))
    assert disk(vm.config, 4002).connectable.startConnected is False
    assert disk(vm.config, 4002).macAddress == "00:50:56:01:02:03"
    reconfigure(vm, remove(second))
    assert [key for key in keys(vm) if 4000 <= key < 4010] == [4000, 4002]
    for backing in (
        Card.NetworkBackingInfo(deviceName="no such"),
        Card.DistributedVirtualPortBackingInfo(
            port=vim.dvs.PortConnection(switchUuid="x", portgroupKey=portgroup.key)
        ),
    ):
        with pytest.raises(vim.fault.InvalidDeviceBacking):
            reconfigure(vm, add(Device.VirtualE1000(key=-1, backing=backing)))


def test_other_devices_are_kept_as_given(client: Client) -> None:
    guest, vm = client.vm([])
    cdrom = Device.VirtualCdrom(
        key=-1,
        controllerKey=201,
        backing=Device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False),
    )
    serial = Device.VirtualSerialPort(
        key=-2,
        yieldOnPoll=True,
        backing=Device.VirtualSerialPort.FileBackingInfo(fileName="[datastore1] x/serial.log"),
    )
    usb = Device.VirtualUSBXHCIController(key=-3, autoConnectDevices=True)
    video = Device.VirtualVideoCard(key=-4, videoRamSizeInKB=16384)
    watchdog = Device.VirtualWDT(key=-5, runOnBoot=True, running=False)
    reconfigure(vm, *(add(device) for device in (cdrom, serial, usb, video, watchdog)))
    config = vm.config
    assert disk(config, 3002).backing.deviceName == ""
    assert disk(config, 9000).backing.fileName == "[datastore1] x/serial.log"
    assert disk(config, 14000).autoConnectDevices is True
    assert disk(config, 500).videoRamSizeInKB == 16384
    assert disk(config, 20000).runOnBoot is True
    assert len([device for device in config.hardware.device if device.key == 500]) == 1


def test_a_configuration_can_be_given_back(client: Client) -> None:
    """What a restore does: the devices of one VM are added to the spec of another."""
    guest, vm = client.vm([MIB, 2 * MIB])
    reconfigure(vm, new_disk(MIB, mode="independent_persistent"))
    config = vm.config
    changes = []
    for device in config.hardware.device:
        spec = add(device)
        if isinstance(device, Device.VirtualDisk):
            device.backing.fileName = ""
            device.backing.datastore = None
            device.backing.parent = None
            spec.fileOperation = "create"
        changes.append(spec)
    spec = vim.vm.ConfigSpec(
        name=f"{vm.name} again",
        files=vim.vm.FileInfo(vmPathName="[datastore2]"),
        deviceChange=changes,
        flags=config.flags,
        bootOptions=config.bootOptions,
        firmware=config.firmware,
        extraConfig=config.extraConfig,
        cpuAllocation=config.cpuAllocation,
    )
    again = wait(vm.parent.CreateVM_Task(spec, vm.resourcePool))
    assert keys(again) == keys(vm)
    assert [
        (d.key, d.capacityInBytes, d.unitNumber, d.backing.diskMode) for d in disks(again.config)
    ] == [(d.key, d.capacityInBytes, d.unitNumber, d.backing.diskMode) for d in disks(vm.config)]
    wait(again.Destroy_Task())


def test_a_full_datastore(lab: Lab, client: Client) -> None:
    guest, vm = client.vm()
    lab.habits.full_datastores.add("datastore1")
    with pytest.raises(vim.fault.NoDiskSpace) as caught:
        reconfigure(vm, new_disk(MIB))
    assert caught.value.datastore == "datastore1"
    with pytest.raises(vim.fault.NoDiskSpace):
        client.snapshot(vm)
    assert client.find("Lab/datastore/datastore1").summary.freeSpace == 0
    assert vm.snapshot is None
    guest.write(2000, 0, b"still the leaf")


def test_raw_devices_and_shared_disks(client: Client) -> None:
    guest, vm = client.vm([MIB])
    raw = new_disk(MIB)
    raw.device.backing = Device.VirtualDisk.RawDiskMappingVer1BackingInfo(
        fileName="", deviceName="naa.1", compatibilityMode="physicalMode", diskMode=""
    )
    raw.device.backing.diskMode = None
    reconfigure(vm, raw)
    shown = disk(vm.config, 2001)
    assert shown.backing.compatibilityMode == "physicalMode"
    assert shown.backing.changeId is None
    with pytest.raises(vim.fault.SnapshotIncompatibleDeviceInVm, match="Hard disk 2"):
        client.snapshot(vm)
    reconfigure(vm, remove(shown, destroy=True), new_disk(MIB, sharing="sharingMultiWriter"))
    with pytest.raises(vim.fault.SnapshotIncompatibleDeviceInVm) as caught:
        client.snapshot(vm)
    assert caught.value.fault.device == "Hard disk 2"
    assert vm.snapshot is None


def test_bus_sharing(client: Client) -> None:
    guest, vm = client.vm([])
    spec = controller(Device.VirtualLsiLogicSASController)
    spec.device.sharedBus = "physicalSharing"
    reconfigure(vm, spec)
    snapshot = client.snapshot(vm, "nothing is shared yet")
    wait(snapshot.RemoveSnapshot_Task(False))
    reconfigure(vm, new_disk(MIB))
    with pytest.raises(vim.fault.SnapshotIncompatibleDeviceInVm, match="Hard disk 1"):
        client.snapshot(vm)


def test_a_disk_attached_again(lab: Lab, client: Client) -> None:
    """It has the UUID it had, or a new one; the event of it may be missing."""
    guest, vm = client.vm([MIB, MIB])
    taken = disk(vm.config, 2001)
    path, uuid = taken.backing.fileName, taken.backing.uuid
    for habit in ("kept", "new"):
        lab.habits.attach_uuid = habit
        reconfigure(vm, remove(disk(vm.config, 2001)))
        reconfigure(vm, new_disk(MIB, path=path, create=False))
        assert (disk(vm.config, 2001).backing.uuid == uuid) is (habit == "kept")
    lab.habits.silent_reconfigurations = True
    before = len(client.events())
    reconfigure(vm, remove(disk(vm.config, 2001)))
    kinds = [type(event) for event in client.events()[before:]]
    assert vim.event.VmReconfiguredEvent not in kinds
