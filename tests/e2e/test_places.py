# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Wherever a VM stands, it is found there and comes back there; or goes where the admin wants."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.vsphere import inventory

from . import hardware
from .joblog import check_ok
from .machine import Machine
from .pictures import draw
from .site import Site


def place(machine: Machine) -> list[str]:
    """The names of the inventory objects above the VM, as vSphere keeps them."""
    names, at = [], machine.vm.parentVApp or machine.vm.parent
    while at is not None:
        names.append(at.name)
        at = getattr(at, "parentVApp", None) or getattr(at, "parentFolder", None) or at.parent
    return names


def make_folder(site: Site) -> str:
    """A folder whose names try the escaping; return its inventory path."""
    production = site.client.content.searchIndex.FindByInventoryPath("Lab/vm/Production")
    production.CreateFolder("R/D 100%").CreateFolder("部门")
    return "Lab/vm/Production/R%2fD 100%25/部门"


def make_in_vapp(site: Site, vapp: Any) -> Machine:
    """A VM that lies in a vApp and in no folder."""
    spec = vim.vm.ConfigSpec(
        name="web1",
        files=vim.vm.FileInfo(vmPathName="[datastore1]"),
        changeTrackingEnabled=True,
        deviceChange=[
            hardware.controller(hardware.SCSI, sharedBus="noSharing"),
            hardware.disk(hardware.MIB, controller=-2),
        ],
    )
    WaitForTask(vapp.CreateChildVM_Task(spec, None))
    return site.find()


def check_comes_back(site: Site, machine: Machine, **where: str) -> None:
    """Without being told where: the backup finds the VM by its UUID."""
    machine.scribble("a")
    before, stood, host = machine.portrait(), place(machine), machine.vm.runtime.host
    check_ok(site.backup(uuid=machine.vm.config.instanceUuid, dc=None, vmname=None))
    found = inventory.virtual_machine(
        site.client.content, where.get("dc", "Lab"), where.get("folder", "/"), "web1"
    )
    assert found == machine.vm
    machine.destroy()
    check_ok(site.restore())
    restored = site.find()
    assert place(restored) == stood
    assert restored.vm.runtime.host == host
    assert restored.portrait() == before


def test_in_a_folder(site: Site) -> None:
    machine = site.create(folder=make_folder(site))
    check_comes_back(site, machine, folder="/Production/R%2fD 100%/部门")


def test_in_a_datacenter_in_folders(site: Site) -> None:
    dc = "Sites/Branch%2fOffice/Remote"
    machine = site.create(folder=f"{dc}/vm", datastore="remote1")
    check_comes_back(site, machine, dc=f"/{dc}")


def test_in_a_vapp(site: Site) -> None:
    vapp = site.client.content.searchIndex.FindByInventoryPath("Lab/vm/vApp")
    check_comes_back(site, make_in_vapp(site, vapp), folder="/vApp")


def test_in_a_vapp_within_a_vapp(site: Site) -> None:
    vapp = site.client.content.searchIndex.FindByInventoryPath("Lab/vm/vApp")
    share = vim.ResourceAllocationInfo(
        reservation=0,
        expandableReservation=True,
        limit=-1,
        shares=vim.SharesInfo(level="normal", shares=0),
    )
    inner = vapp.CreateVApp(
        "inner",
        vim.ResourceConfigSpec(cpuAllocation=share, memoryAllocation=share),
        vim.vApp.VAppConfigSpec(),
        None,
    )
    check_comes_back(site, make_in_vapp(site, inner), folder="/vApp/inner")


def test_a_vm_named_by_its_uuid(site: Site) -> None:
    machine, _ = site.create(), site.create(folder="Lab/vm/Production")
    config = machine.vm.config
    for uuid in (config.instanceUuid, config.uuid):
        job = site.backup(uuid=uuid, dc=None, vmname=None)
        check_ok(job)


def test_on_a_host_without_vcenter(tmp_path: Path) -> None:
    with contextlib.closing(Site(tmp_path, flavour="esxi")) as site:
        machine = site.create(disks=[hardware.MIB])
        machine.guest.write_nvram(b"nvram" * 99)
        draw(machine, "A\n  B\n  C *\n")
        before = machine.portrait()
        check_ok(site.backup(dc="ha-datacenter"))
        machine.destroy()
        check_ok(site.restore())
        assert site.find().portrait() == before
        assert site.remains() == []
