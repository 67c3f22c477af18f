# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import Client, wait


def names(entities: Any) -> list[str]:
    return [entity.name for entity in entities]


def test_the_inventory_a_lab_starts_with(client: Client) -> None:
    root = client.content.rootFolder
    assert names(root.childEntity) == ["Lab", "Sites"]
    lab = root.childEntity[0]
    assert names([lab.vmFolder, lab.hostFolder, lab.datastoreFolder, lab.networkFolder]) == [
        "vm",
        "host",
        "datastore",
        "network",
    ]
    assert names(lab.datastore) == ["datastore1", "datastore2"]
    assert names(lab.network) == ["VM Network", "Storage Network", "dv-lab"]
    assert names(lab.hostFolder.childEntity) == ["esx1.lab", "Cluster"]
    cluster = lab.hostFolder.childEntity[1]
    assert names(cluster.host) == ["esx2.lab", "esx3.lab"]
    assert names(cluster.resourcePool.resourcePool) == ["Pool", "vApp"]
    assert cluster.host[0].parent == cluster
    assert lab.datastore[0].summary.type == "VMFS"
    assert lab.network[2].config.distributedVirtualSwitch.name == "dvs-lab"


def test_paths(client: Client) -> None:
    assert client.find("Lab/vm/Production/Linux").name == "Linux"
    assert client.find("/Lab/vm/Production/Linux/").name == "Linux"
    remote = client.find("Sites/Branch%2fOffice/Remote")
    assert issubclass(type(remote), vim.Datacenter)
    assert remote.parent.name == "Branch%2fOffice"
    assert client.find("Sites/Branch%2FOffice/Remote") == remote
    assert client.find("Sites/Branch/Office/Remote") is None
    assert client.find("Lab/vm/nowhere") is None
    assert client.find("Lab/network/dv-lab").key


def test_special_characters_in_names(client: Client) -> None:
    folder = client.find("Lab/vm").CreateFolder("a/b\\c%d%2fe")
    assert folder.name == "a%2fb%5cc%25d%2fe"
    assert client.find("Lab/vm/a%2fb%5cc%25d%2fe") == folder
    parent = client.find("Lab/vm")
    assert client.content.searchIndex.FindChild(parent, "a/b\\c%d%2fe") == folder
    wait(folder.Destroy_Task())


def test_folders(client: Client) -> None:
    parent = client.find("Lab/vm")
    folder = parent.CreateFolder("one")
    with pytest.raises(vim.fault.DuplicateName) as caught:
        parent.CreateFolder("one")
    assert caught.value.object == folder
    with pytest.raises(vim.fault.InvalidName):
        parent.CreateFolder("")
    with pytest.raises(vim.fault.InvalidName):
        parent.CreateFolder("x" * 81)
    inner = folder.CreateFolder("inner")
    wait(inner.Rename_Task("renamed"))
    assert client.find("Lab/vm/one/renamed") == inner
    with pytest.raises(vim.fault.InvalidFolder):
        wait(inner.MoveIntoFolder_Task([folder]))
    wait(parent.MoveIntoFolder_Task([inner]))
    assert inner.parent == parent
    with pytest.raises(vmodl.fault.NotSupported):
        wait(client.find("Lab/host").MoveIntoFolder_Task([inner]))
    for gone in (inner, folder):
        wait(gone.Destroy_Task())
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = folder.name


def test_what_is_not_renamed(client: Client) -> None:
    with pytest.raises(vmodl.fault.NotSupported):
        client.find("Lab/host/esx1.lab").Rename_Task("other")


def test_datacenters_in_folders(client: Client) -> None:
    folder = client.content.rootFolder.CreateFolder("中文")
    datacenter = folder.CreateDatacenter("DC 2")
    assert client.find("中文/DC 2/vm") == datacenter.vmFolder
    with pytest.raises(vmodl.fault.NotSupported):
        client.find("Lab/vm").CreateDatacenter("x")
    wait(datacenter.Destroy_Task())
    wait(folder.Destroy_Task())


def test_resource_pools(client: Client) -> None:
    top = client.find("Lab/host/Cluster/Resources")
    assert isinstance(top, vim.ResourcePool)
    allocation = vim.ResourceAllocationInfo(reservation=0, expandableReservation=True, limit=-1)
    spec = vim.ResourceConfigSpec(cpuAllocation=allocation, memoryAllocation=allocation)
    pool = top.CreateResourcePool("pool 2", spec)
    assert pool.owner.name == "Cluster"
    guest, vm = client.vm(pool="Lab/host/Cluster/Resources/pool 2")
    assert (vm.resourcePool, vm.runtime.host.name) == (pool, "esx2.lab")
    assert pool.vm == [vm]
    with pytest.raises(vim.fault.InvalidState):
        wait(pool.Destroy_Task())
    wait(vm.Destroy_Task())
    wait(pool.Destroy_Task())


def test_a_vm_in_a_vapp_has_no_folder(lab: Lab, client: Client) -> None:
    vapp = client.find("Lab/vm/vApp")
    assert isinstance(vapp, vim.VirtualApp)
    assert vapp.parentFolder == client.find("Lab/vm")
    spec = vim.vm.ConfigSpec(name="in vApp", files=vim.vm.FileInfo(vmPathName="[datastore1]"))
    vm = wait(vapp.CreateChildVM_Task(spec))
    assert (vm.parent, vm.parentVApp, vm.resourcePool) == (None, vapp, vapp)
    assert client.find("Lab/vm/vApp/in vApp") == vm
    assert list(vapp.vm) == [vm]
    wait(vm.Destroy_Task())


def test_searching_by_uuid(client: Client) -> None:
    guest, vm = client.vm()
    index = client.content.searchIndex
    config = vm.config
    lab, remote = client.find("Lab"), client.find("Sites/Branch%2fOffice/Remote")
    assert index.FindByUuid(None, config.uuid, True) == vm
    assert index.FindByUuid(lab, config.instanceUuid.upper(), True, True) == vm
    assert index.FindByUuid(remote, config.instanceUuid, True, True) is None
    assert index.FindByUuid(None, config.uuid, True, True) is None
    assert index.FindAllByUuid(None, config.uuid, True, False) == [vm]
    host = vm.runtime.host
    assert index.FindByUuid(None, host.summary.hardware.uuid, False) == host


def test_searching_by_datastore_path(client: Client) -> None:
    guest, vm = client.vm()
    index = client.content.searchIndex
    path = vm.config.files.vmPathName
    assert index.FindByDatastorePath(client.find("Lab"), path) == vm
    assert index.FindByDatastorePath(client.find("Lab"), "[datastore1] x/x.vmx") is None
    with pytest.raises(vim.fault.InvalidDatastorePath):
        index.FindByDatastorePath(client.find("Lab"), "no brackets")
    assert index.FindByIp(None, "192.0.2.1", True) is None


def test_container_views(client: Client) -> None:
    guest, vm = client.vm(folder="Lab/vm/Production/Linux")
    manager = client.content.viewManager

    def view(container: Any, kinds: Any, recursive: bool = True) -> Any:
        made = manager.CreateContainerView(container, kinds, recursive)
        found = list(made.view)
        made.DestroyView()
        return found

    root = client.content.rootFolder
    assert vm in view(root, [vim.VirtualMachine])
    assert view(client.find("Lab/vm/Production"), [vim.VirtualMachine], False) == []
    assert vm in view(client.find("Lab/host/esx1.lab/Resources"), [vim.VirtualMachine], False)
    datacenters = view(root, [vim.Datacenter])
    assert sorted(names(datacenters)) == ["Lab", "Remote"]
    assert len(view(root, [vim.HostSystem])) == 4
    everything = view(root, [])
    assert len(everything) == len(set(everything))
    with pytest.raises(vmodl.fault.InvalidArgument):
        view(vm, [])
    wait(vm.Destroy_Task())


def test_a_view_follows_the_inventory(client: Client) -> None:
    view = client.content.viewManager.CreateContainerView(
        client.find("Lab/vm"), [vim.VirtualMachine], True
    )
    guest, vm = client.vm()
    assert vm in view.view
    wait(vm.Destroy_Task())
    assert vm not in view.view
    view.DestroyView()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        _ = view.view


def test_options(client: Client) -> None:
    (option,) = client.content.setting.QueryOptions("config.vpxd.event.maxAge")
    assert option.value == 30
    with pytest.raises(vim.fault.InvalidName):
        client.content.setting.QueryOptions("no.such.option")
