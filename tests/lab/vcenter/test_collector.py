# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab

from .client import Client, reconfigure, wait

Collector = vmodl.query.PropertyCollector


def vm_spec(client: Client, paths: Any, all_: bool = False) -> tuple[Any, Any]:
    view = client.content.viewManager.CreateContainerView(
        client.content.rootFolder, [vim.VirtualMachine], True
    )
    traversal = Collector.TraversalSpec(
        name="members", type=vim.view.ContainerView, path="view", skip=False
    )
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=paths, all=all_)],
    )
    return view, spec


def of(vm: Any, paths: Any, all_: bool = False) -> Any:
    return Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm)],
        propSet=[Collector.PropertySpec(type=type(vm), pathSet=paths, all=all_)],
    )


def values(content: Any) -> dict[str, Any]:
    return {entry.name: entry.val for entry in content.propSet}


def test_reading_nested_properties(client: Client) -> None:
    guest, vm = client.vm()
    paths = [
        "name",
        "runtime.powerState",
        "config.hardware.memoryMB",
        "config.hardware.device",
        "config.hardware.device[2000].capacityInBytes",
        'config.extraConfig["nvram"].value',
        "snapshot",
        "parent",
        "datastore",
    ]
    (content,) = client.content.propertyCollector.RetrieveContents([of(vm, paths)])
    found = values(content)
    assert content.obj == vm
    assert found["name"] == vm.name
    assert found["runtime.powerState"] == vim.VirtualMachine.PowerState.poweredOff
    assert found["config.hardware.memoryMB"] == 256
    assert len(found["config.hardware.device"]) == len(vm.config.hardware.device)
    assert found["config.hardware.device[2000].capacityInBytes"] == 16 << 20
    assert found['config.extraConfig["nvram"].value'] == f"{vm.name}.nvram"
    assert "snapshot" not in found
    assert found["parent"] == client.find("Lab/vm")
    assert found["datastore"] == [client.find("Lab/datastore/datastore1")]
    assert list(content.missingSet) == []


def test_all_properties(client: Client) -> None:
    guest, vm = client.vm()
    (content,) = client.content.propertyCollector.RetrieveContents([of(vm, [], True)])
    assert {"name", "config", "summary", "layoutEx", "runtime"} <= values(content).keys()


@pytest.mark.parametrize(
    "path",
    ["nonsense", "config.nonsense", "name.x", "config.hardware.device.key", "config.", "a b", ""],
)
def test_unknown_properties(client: Client, path: str) -> None:
    guest, vm = client.vm()
    with pytest.raises(vmodl.query.InvalidProperty) as caught:
        client.content.propertyCollector.RetrieveContents([of(vm, [path])])
    assert caught.value.name == path


def test_properties_the_simulation_lacks_are_reported_missing(client: Client) -> None:
    host = client.find("Lab/host/esx1.lab").host[0]
    (content,) = client.content.propertyCollector.RetrieveContents(
        [of(host, ["name", "configManager"])]
    )
    assert values(content) == {"name": "esx1.lab"}
    (missing,) = content.missingSet
    assert missing.path == "configManager"
    assert isinstance(missing.fault, vmodl.fault.NotSupported)


def test_paging(lab: Lab, client: Client) -> None:
    made = [client.vm([])[1] for _ in range(7)]
    collector = client.content.propertyCollector
    view, spec = vm_spec(client, ["name"])
    options = Collector.RetrieveOptions(maxObjects=3)
    page = collector.RetrievePropertiesEx([spec], options)
    pages = [page]
    while page.token:
        page = collector.ContinueRetrievePropertiesEx(page.token)
        pages.append(page)
    found = [content.obj for page in pages for content in page.objects]
    assert {len(page.objects) for page in pages[:-1]} == {3}
    assert set(made) <= set(found)
    assert len(found) == len(set(found))
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.ContinueRetrievePropertiesEx("token-0")
    first = collector.RetrievePropertiesEx([spec], options)
    collector.CancelRetrievePropertiesEx(first.token)
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.ContinueRetrievePropertiesEx(first.token)
    lab.habits.max_objects = 2
    short = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions())
    assert len(short.objects) == 2
    assert short.token


def test_a_vm_destroyed_between_pages_is_left_out(client: Client) -> None:
    made = [client.vm([])[1] for _ in range(3)]
    collector = client.content.propertyCollector
    view, spec = vm_spec(client, ["name"])
    page = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=1))
    wait(made[-1].Destroy_Task())
    found = []
    while page is not None:
        found += [content.obj for content in page.objects]
        page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    assert made[-1] not in found
    assert made[0] in found


def test_nothing_selected_is_no_result(client: Client) -> None:
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=client.content.rootFolder)],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
    )
    collector = client.content.propertyCollector
    assert collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions()) is None


def test_recursive_traversal_by_names(client: Client) -> None:
    guest, vm = client.vm(folder="Lab/vm/Production/Linux")
    folders = Collector.TraversalSpec(
        name="folders",
        type=vim.Folder,
        path="childEntity",
        selectSet=[
            Collector.SelectionSpec(name="folders"),
            Collector.TraversalSpec(
                name="datacenters",
                type=vim.Datacenter,
                path="vmFolder",
                selectSet=[Collector.SelectionSpec(name="folders")],
            ),
        ],
    )
    spec = Collector.FilterSpec(
        objectSet=[
            Collector.ObjectSpec(obj=client.content.rootFolder, skip=False, selectSet=[folders])
        ],
        propSet=[Collector.PropertySpec(type=vim.ManagedEntity, pathSet=["name"])],
    )
    contents = client.content.propertyCollector.RetrieveContents([spec])
    found = [content.obj for content in contents]
    assert vm in found
    assert client.content.rootFolder in found
    assert len(found) == len(set(found))
    spec.objectSet[0].selectSet = [Collector.SelectionSpec(name="no such")]
    with pytest.raises(vmodl.fault.InvalidArgument):
        client.content.propertyCollector.RetrieveContents([spec])
    wait(vm.Destroy_Task())


def test_watching_a_vm(client: Client) -> None:
    guest, vm = client.vm()
    collector = client.content.propertyCollector
    watch = collector.CreateFilter(of(vm, ["name", "config.hardware.memoryMB"]), True)
    first = collector.WaitForUpdatesEx(None, None)
    (update,) = [s for s in first.filterSet if s.filter == watch][0].objectSet
    assert update.kind == "enter"
    assert {change.name: change.val for change in update.changeSet} == {
        "name": vm.name,
        "config.hardware.memoryMB": 256,
    }
    assert collector.CheckForUpdates(first.version) is None
    short = Collector.WaitOptions(maxWaitSeconds=0)
    assert collector.WaitForUpdatesEx(first.version, short) is None
    reconfigure(vm, memoryMB=512)
    second = collector.WaitForUpdatesEx(first.version, None)
    (update,) = [s for s in second.filterSet if s.filter == watch][0].objectSet
    assert update.kind == "modify"
    assert [(c.name, c.val) for c in update.changeSet] == [("config.hardware.memoryMB", 512)]
    again = collector.CheckForUpdates(first.version)
    assert again.filterSet[0].objectSet[0].changeSet[0].val == 512
    wait(vm.Destroy_Task())
    third = collector.CheckForUpdates(second.version)
    (update,) = [s for s in third.filterSet if s.filter == watch][0].objectSet
    assert (update.kind, update.obj) == ("leave", vm)
    with pytest.raises(vmodl.query.InvalidCollectorVersion):
        collector.CheckForUpdates("4711")
    watch.Destroy()
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        watch.Destroy()


def test_updates_come_in_portions(client: Client) -> None:
    made = [client.vm([])[1] for _ in range(5)]
    collector = client.content.propertyCollector.CreatePropertyCollector()
    view, spec = vm_spec(client, ["name"])
    collector.CreateFilter(spec, True)
    version, seen, truncated = "", [], True
    options = Collector.WaitOptions(maxObjectUpdates=2)
    while truncated:
        updates = collector.WaitForUpdatesEx(version, options)
        version, truncated = updates.version, updates.truncated
        updated = [update.obj for known in updates.filterSet for update in known.objectSet]
        assert 0 < len(updated) <= 2
        seen += updated
    assert set(made) <= set(seen)
    assert len(seen) == len(set(seen))
    collector.Destroy()


def test_a_filter_for_a_wrong_path_is_refused(client: Client) -> None:
    guest, vm = client.vm()
    with pytest.raises(vmodl.query.InvalidProperty):
        client.content.propertyCollector.CreateFilter(of(vm, ["config.x"]), True)


def test_waiting_ends_with_a_change_and_with_cancellation(client: Client) -> None:
    guest, vm = client.vm()
    collector = client.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(of(vm, ["name"]), True)
    first = collector.WaitForUpdates(None)
    threading.Timer(0.2, lambda: vm.Rename_Task("renamed")).start()
    assert collector.WaitForUpdates(first.version).filterSet[0].objectSet[0].obj == vm
    second = collector.CheckForUpdates(None)
    canceled = threading.Event()

    def cancel() -> None:
        """Again and again: it ends a wait that is there, which nobody can see from here."""
        while not canceled.wait(0.2):
            collector.CancelWaitForUpdates()

    canceler = threading.Thread(target=cancel)
    canceler.start()
    with pytest.raises(vmodl.fault.RequestCanceled):
        collector.WaitForUpdates(second.version)
    canceled.set()
    canceler.join()


def test_a_wait_is_limited(client: Client) -> None:
    guest, vm = client.vm()
    collector = client.content.propertyCollector.CreatePropertyCollector()
    collector.CreateFilter(of(vm, ["name"]), True)
    first = collector.WaitForUpdates(None)
    started = time.monotonic()
    options = Collector.WaitOptions(maxWaitSeconds=1)
    assert collector.WaitForUpdatesEx(first.version, options) is None
    assert 0.9 < time.monotonic() - started < 60


def test_tasks_waited_for_from_several_threads(client: Client) -> None:
    """pyVmomi's WaitForTask uses one collector for all of a session's threads."""
    made = [client.vm()[1] for _ in range(4)]
    failures = []

    def work(vm: Any) -> None:
        try:
            for number in range(3):
                client.snapshot(vm, str(number))
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(vm,)) for vm in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {len(vm.layoutEx.snapshot) for vm in made} == {3}
