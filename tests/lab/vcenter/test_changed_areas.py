# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
from __future__ import annotations

import re
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from vmsnap_lab.lab import Lab
from vmsnap_lab.storage import StorageError

from .client import BLOCK, MIB, Client, changed, disk, new_disk, reconfigure, wait


def change_id(config: Any, key: int = 2000) -> Any:
    return disk(config, key).backing.changeId


def test_what_changed_between_snapshots(client: Client) -> None:
    guest, vm = client.vm([4 * MIB])
    guest.write(2000, 0, b"x")
    a = client.snapshot(vm, "A")
    guest.write(2000, MIB + 5, b"x" * BLOCK)
    guest.write_zeros(2000, 3 * MIB, BLOCK)
    b = client.snapshot(vm, "B")
    guest.write(2000, 2 * MIB, b"x")
    assert changed(vm, b, a) == [(MIB, 2 * BLOCK), (3 * MIB, BLOCK)]
    assert changed(vm, b, "*") == [(0, BLOCK), (MIB, 2 * BLOCK), (3 * MIB, BLOCK)]
    assert changed(vm, a, "*") == [(0, BLOCK)]
    assert changed(vm, None, b) == [(2 * MIB, BLOCK)]
    form = r"([0-9a-f]{2} ){7}[0-9a-f]{2}-([0-9a-f]{2} ){7}[0-9a-f]{2}/\d+"
    assert re.fullmatch(form, change_id(a.config))
    assert change_id(a.config).split("/")[0] == change_id(b.config).split("/")[0]


def test_a_change_id_outlives_its_snapshot(client: Client) -> None:
    guest, vm = client.vm([4 * MIB])
    temporary = client.snapshot(vm, "backup")
    remembered = change_id(temporary.config)
    wait(temporary.RemoveSnapshot_Task(False))
    guest.write(2000, 2 * MIB, b"x")
    later = client.snapshot(vm, "backup 2")
    assert changed(vm, later, remembered) == [(2 * MIB, BLOCK)]


def test_the_current_state_needs_a_vm_that_is_off(client: Client) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm)
    known = change_id(a.config)
    wait(vm.PowerOnVM_Task())
    with pytest.raises(vim.fault.FileFault):
        vm.QueryChangedDiskAreas(None, 2000, 0, known)
    vm.QueryChangedDiskAreas(a, 2000, 0, "*")


def stripes(client: Client, count: int = 10) -> tuple[Any, Any, Any, list[tuple[int, int]]]:
    guest, vm = client.vm([4 * MIB])
    a = client.snapshot(vm, "A")
    guest.write_many(2000, [(3 * BLOCK * (n + 1), b"x") for n in range(count)])
    b = client.snapshot(vm, "B")
    return vm, a, b, [(3 * BLOCK * (n + 1), BLOCK) for n in range(count)]


def pages(vm: Any, snapshot: Any, base: Any) -> list[tuple[int, int, int]]:
    found, start = [], 0
    while start < 4 * MIB:
        page = vm.QueryChangedDiskAreas(snapshot, 2000, start, change_id(base.config))
        found.append((page.startOffset, page.length, len(page.changedArea)))
        start += page.length
    return found


def test_pages_by_number_of_areas(lab: Lab, client: Client) -> None:
    vm, a, b, expected = stripes(client)
    lab.habits.page_areas = 4
    assert changed(vm, b, a) == expected
    assert [areas for _, _, areas in pages(vm, b, a)] == [4, 4, 2]


def test_pages_by_bytes_may_be_empty(lab: Lab, client: Client) -> None:
    vm, a, b, expected = stripes(client)
    lab.habits.page_bytes = 2 * BLOCK
    found = pages(vm, b, a)
    assert {length for _, length, _ in found} == {2 * BLOCK}
    assert 0 in {areas for _, _, areas in found}
    assert changed(vm, b, a) == expected


def test_pages_cut_areas(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([4 * MIB])
    a = client.snapshot(vm)
    guest.write(2000, 0, b"x" * MIB)
    b = client.snapshot(vm)
    lab.habits.page_bytes = 5 * BLOCK
    areas = changed(vm, b, a)
    assert areas == [(n * 5 * BLOCK, 5 * BLOCK) for n in range(3)] + [(15 * BLOCK, BLOCK)]


def test_areas_named_once_where_they_begin(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([4 * MIB])
    a = client.snapshot(vm)
    guest.write(2000, 2 * BLOCK, b"x" * MIB)
    b = client.snapshot(vm)
    lab.habits.page_bytes, lab.habits.areas_once = 5 * BLOCK, True
    assert changed(vm, b, a) == [(2 * BLOCK, MIB)]


def test_gaps_as_pages_of_their_own(lab: Lab, client: Client) -> None:
    vm, a, b, expected = stripes(client, 3)
    lab.habits.empty_pages = True
    assert changed(vm, b, a) == expected
    assert [areas for _, _, areas in pages(vm, b, a)][0] == 0


def test_arguments(client: Client) -> None:
    guest, vm = client.vm([MIB])
    other, other_vm = client.vm([MIB])
    a = client.snapshot(vm)
    foreign = client.snapshot(other_vm)
    known = change_id(a.config)

    def refused(name: str, *arguments: Any) -> None:
        with pytest.raises(vmodl.fault.InvalidArgument) as caught:
            vm.QueryChangedDiskAreas(*arguments)
        assert caught.value.invalidProperty == name

    refused("deviceKey", a, 2001, 0, known)
    refused("deviceKey", a, 1000, 0, known)
    refused("startOffset", a, 2000, MIB, known)
    refused("startOffset", a, 2000, -1, known)
    refused("changeId", a, 2000, 0, "nonsense")
    refused("changeId", a, 2000, 0, "")
    refused("snapshotId", foreign, 2000, 0, known)
    wait(a.RemoveSnapshot_Task(False))
    with pytest.raises(vmodl.fault.ManagedObjectNotFound):
        vm.QueryChangedDiskAreas(a, 2000, 0, known)


def file_fault(attempt: Any) -> tuple[str, str]:
    """Key and text of a FileFault."""
    with pytest.raises(vim.fault.FileFault) as caught:
        attempt()
    (message,) = caught.value.faultMessage
    assert caught.value.file.endswith(".vmdk")
    return message.key.rpartition(".")[2], message.message


def test_faults(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB], cbt=False)
    a = client.snapshot(vm)
    assert change_id(a.config) is None
    assert file_fault(lambda: vm.QueryChangedDiskAreas(a, 2000, 0, "*"))[0] == "noTrack"
    other, tracked = client.vm([MIB])
    b = client.snapshot(tracked)
    lab.habits.cbt.star = "fails"
    assert file_fault(lambda: tracked.QueryChangedDiskAreas(b, 2000, 0, "*"))[0] == "noEpoch"
    lab.habits.cbt.star = "whole-disk"
    assert changed(tracked, b, "*") == [(0, MIB)]
    third, foreign = client.vm([MIB])
    c = client.snapshot(foreign)
    key, text = file_fault(lambda: tracked.QueryChangedDiskAreas(b, 2000, 0, change_id(c.config)))
    assert key == "cannotGetChanges"
    assert "corrupt" not in text


def test_a_corrupt_tracking_file(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm)

    def corrupt(*arguments: Any) -> Any:
        raise StorageError("corrupt", "the record was lost")

    monkeypatch.setattr(lab.store, "changed_areas", corrupt)
    key, text = file_fault(lambda: vm.QueryChangedDiskAreas(a, 2000, 0, "*"))
    assert key == "cannotGetChanges"
    assert "corrupt" in text


@pytest.mark.parametrize(
    "fault",
    [
        vmodl.fault.SystemError(reason="x"),
        vim.fault.NotFound(),
        vim.fault.FileFault(file="[datastore1] x.vmdk"),
        vmodl.fault.InvalidArgument(invalidProperty="snapshotId"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_faults_can_be_injected(lab: Lab, client: Client, fault: Any) -> None:
    guest, vm = client.vm([MIB])
    a = client.snapshot(vm)
    lab.habits.fail("QueryChangedDiskAreas", fault, nth=2)
    vm.QueryChangedDiskAreas(a, 2000, 0, "*")
    with pytest.raises(type(fault)):
        vm.QueryChangedDiskAreas(a, 2000, 0, "*")
    vm.QueryChangedDiskAreas(a, 2000, 0, "*")


def test_enabling_on_a_vm_that_is_off_works_at_once(client: Client) -> None:
    guest, vm = client.vm([MIB], cbt=False)
    old = client.snapshot(vm, "old")
    guest.write(2000, 0, b"x")
    reconfigure(vm, changeTrackingEnabled=True)
    options = {option.key: option.value for option in vm.config.extraConfig}
    assert options["ctkEnabled"] == options["scsi0:0.ctkEnabled"] == "TRUE"
    assert vm.config.changeTrackingEnabled
    assert change_id(vm.config) is not None
    new = client.snapshot(vm, "new")
    assert change_id(old.config) is None
    assert not old.config.changeTrackingEnabled
    assert new.config.changeTrackingEnabled
    assert change_id(new.config) is not None


@pytest.mark.parametrize("event", ["create", "remove", "revert", "power cycle"])
def test_enabling_on_a_running_vm_waits(client: Client, event: str) -> None:
    guest, vm = client.vm([MIB], cbt=False)
    snapshot = client.snapshot(vm)
    wait(vm.PowerOnVM_Task())
    reconfigure(vm, changeTrackingEnabled=True)
    assert vm.config.changeTrackingEnabled
    assert change_id(vm.config) is None
    if event == "create":
        new = client.snapshot(vm, "new")
        assert change_id(new.config) is not None
    elif event == "remove":
        wait(snapshot.RemoveSnapshot_Task(False))
    elif event == "revert":
        client.lab.habits.revert_restores_tracking = False
        wait(snapshot.RevertToSnapshot_Task())
    else:
        wait(vm.PowerOffVM_Task())
        assert change_id(vm.config) is None
        wait(vm.PowerOnVM_Task())
    assert change_id(vm.config) is not None


def test_disabling(client: Client) -> None:
    guest, vm = client.vm([MIB])
    first = change_id(vm.config)
    reconfigure(vm, changeTrackingEnabled=False)
    assert change_id(vm.config) is None
    options = {option.key: option.value for option in vm.config.extraConfig}
    assert options["ctkEnabled"] == "FALSE"
    reconfigure(vm, changeTrackingEnabled=True)
    assert change_id(vm.config).split("/")[0] != first.split("/")[0]


def test_a_disk_added_to_a_tracked_vm_is_tracked(client: Client) -> None:
    guest, vm = client.vm([MIB])
    reconfigure(vm, new_disk(MIB))
    assert change_id(vm.config, 2001) is not None
    off = vim.option.OptionValue(key="scsi0:2.ctkEnabled", value="false")
    reconfigure(vm, new_disk(MIB), extraConfig=[off])
    assert change_id(vm.config, 2002) is None


def test_tracking_may_be_unsupported(lab: Lab, client: Client) -> None:
    guest, vm = client.vm([MIB])
    lab.habits.change_tracking_supported = False
    assert not vm.capability.changeTrackingSupported
    with pytest.raises(vmodl.fault.NotSupported):
        reconfigure(vm, changeTrackingEnabled=True)


def test_a_crash_loses_the_place(client: Client) -> None:
    guest, vm = client.vm([MIB], powered_on=True)
    before = change_id(vm.config)
    guest.crash()
    assert vm.runtime.powerState == "poweredOff"
    assert change_id(vm.config).split("/")[0] != before.split("/")[0]


def test_a_crash_that_keeps_the_id(lab: Lab, client: Client) -> None:
    lab.habits.cbt.crash = "loses"
    guest, vm = client.vm([MIB], powered_on=True)
    snapshot = client.snapshot(vm)
    guest.write(2000, 0, b"lost")
    guest.crash()
    after = client.snapshot(vm)
    assert changed(vm, after, snapshot) == []


def test_the_events_of_a_crash(lab: Lab, client: Client) -> None:
    def tells(leaves: str) -> list[str]:
        lab.habits.crash_leaves = leaves
        guest, vm = client.vm([MIB], powered_on=True)
        guest.crash()
        by_vm = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
        names = [type(event).__name__ for event in client.events(entity=by_vm)]
        return names[names.index("vim.event.VmPoweredOnEvent") + 1 :]

    lost, off = "vim.event.VmDisconnectedEvent", "vim.event.VmPoweredOffEvent"
    assert tells("nothing") == [off]
    assert tells("disconnected") == [lost, off]
    assert tells("restarted") == [lost, off, "vim.event.VmRestartedOnAlternateHostEvent"]


def test_missing_changes(lab: Lab, client: Client) -> None:
    vm, a, b, expected = stripes(client)
    lab.habits.cbt.misses = 0.5
    found = changed(vm, b, a)
    assert set(found) < set(expected)
