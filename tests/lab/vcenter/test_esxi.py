# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The flavour of a host without vCenter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyVmomi import vim

from vmsnap_lab.lab import Lab

from .client import MIB, Client, wait


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("esxi")
    with Lab(directory, flavour="esxi", datastores=["local"]) as lab:
        yield lab


def test_the_inventory_of_a_host(lab: Lab, client: Client) -> None:
    assert lab.user == "root"
    about = client.content.about
    assert (about.apiType, about.productLineId) == ("HostAgent", "embeddedEsx")
    (datacenter,) = client.content.rootFolder.childEntity
    assert datacenter.name == "ha-datacenter"
    assert [store.name for store in datacenter.datastore] == ["local"]


def test_ids_are_those_of_a_host(client: Client) -> None:
    guest, vm = client.vm([MIB], datastore="local")
    assert vm._moId.isdigit()
    snapshot = client.snapshot(vm)
    assert snapshot._moId == f"{vm._moId}-snapshot-1"
    guest.write(2000, 0, b"x")
    wait(snapshot.RevertToSnapshot_Task())
    wait(vm.RemoveAllSnapshots_Task())


def test_a_path_needs_no_datacenter(client: Client) -> None:
    client.content.fileManager.MakeDirectory("[local] folder", None, False)


def test_unknown_flavours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="flavour"):
        Lab(tmp_path, flavour="hyper-v")


def test_creating_a_vm_by_hand(client: Client) -> None:
    folder = client.find("ha-datacenter/vm")
    pool = client.find("ha-datacenter/host/localhost.localdomain/Resources")
    spec = vim.vm.ConfigSpec(name="plain", files=vim.vm.FileInfo(vmPathName="[local]"))
    assert wait(folder.CreateVM_Task(spec, pool)).name == "plain"
