# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""A storage array that puts a VM's folder back."""

from __future__ import annotations

import pytest
from pyVmomi import vim

from vmsnap_lab import array

from .client import MIB, Client, chain, changed, disk, new_disk, reconfigure, tree, wait


def test_a_folder_rolled_back(client: Client) -> None:
    guest, vm = client.vm([MIB])
    guest.write(2000, 0, b"a")
    first = client.snapshot(vm, "first")
    guest.write(2000, 0, b"b")
    reconfigure(vm, extraConfig=[vim.option.OptionValue(key="k", value="old")])
    then, created = tree(vm), vm.snapshot.rootSnapshotList[0].createTime
    change_id = disk(vm.config).backing.changeId
    image = array.take(guest.vm)

    reconfigure(vm, new_disk(MIB), extraConfig=[vim.option.OptionValue(key="k", value="new")])
    wait(first.RemoveSnapshot_Task(removeChildren=False))
    client.snapshot(vm, "second")
    guest.write(2000, 0, b"c")
    before = len(client.events())
    array.roll_back(guest.vm, image)

    assert tree(vm) == then
    assert len(client.events()) == before
    (root,) = vm.snapshot.rootSnapshotList
    assert (root.id, root.createTime) == (1, created)
    assert guest.read(2000, 0, 1) == b"b"
    assert guest.read(2000, 0, 1, "first") == b"a"
    assert [o.value for o in vm.config.extraConfig if o.key == "k"] == ["old"]
    assert disk(vm.config).backing.changeId == change_id
    assert guest.disks == [2000]
    after = client.snapshot(vm, "after")
    assert vm.snapshot.currentSnapshot == after
    assert changed(vm, after, root.snapshot) == [(0, 65536)]
    assert chain(disk(vm.config).backing)[0] == f"{vm.name}-000002.vmdk"
    wait(vm.Destroy_Task())


def test_disks_rolled_back_alone(client: Client) -> None:
    guest, vm = client.vm([MIB])
    client.snapshot(vm, "first")
    guest.write(2000, 0, b"a")
    image = array.take(guest.vm)
    reconfigure(vm, extraConfig=[vim.option.OptionValue(key="k", value="new")])
    guest.write(2000, 0, b"b")
    array.roll_back_disks(guest.vm, image)
    assert guest.read(2000, 0, 1) == b"a"
    assert [o.value for o in vm.config.extraConfig if o.key == "k"] == ["new"]
    client.snapshot(vm, "second")
    with pytest.raises(ValueError, match="other disk files"):
        array.roll_back_disks(guest.vm, image)


def test_only_under_a_vm_that_is_off(client: Client) -> None:
    guest, _ = client.vm([MIB], powered_on=True)
    image = array.take(guest.vm)
    with pytest.raises(vim.fault.InvalidPowerState):
        array.roll_back(guest.vm, image)
