# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Each snapshot comes back with the configuration the VM had when it was taken."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from . import hardware
from .joblog import check_ok, said
from .machine import Machine
from .roundtrip import round_trip
from .site import Site


def set_option(machine: Machine, **options: str) -> None:
    values = [vim.option.OptionValue(key=f"guestinfo.{k}", value=v) for k, v in options.items()]
    machine.reconfigure(extraConfig=values)


def macs(config: Any) -> list[str]:
    kind = vim.vm.device.VirtualEthernetCard
    return [str(d.macAddress) for d in config.hardware.device if isinstance(d, kind)]


def test_settings_differ_from_snapshot_to_snapshot(site: Site) -> None:
    machine = site.create()
    machine.reconfigure(annotation="first <note>\n第二", firmware="efi", cpuHotAddEnabled=True)
    set_option(machine, role="web", gone="soon")
    first = machine.snapshot("first")
    machine.reconfigure(annotation="another note", numCPUs=4, numCoresPerSocket=2, memoryMB=512)
    set_option(machine, role='数据库 & "more"', gone="")
    machine.snapshot("second")
    machine.revert(first)
    machine.reconfigure(annotation="", guestId="ubuntu64Guest")
    set_option(machine, role="")
    machine.snapshot("third")
    machine.reconfigure(numCPUs=2, memoryMB=1024)
    round_trip(site, machine)


def test_network_adapters_differ_from_snapshot_to_snapshot(site: Site) -> None:
    machine = site.create()
    first = machine.snapshot("one adapter")
    card = vim.vm.device.VirtualE1000e
    machine.reconfigure(hardware.nic("Storage Network"), hardware.nic("dv-lab", card))
    machine.snapshot("three adapters")
    machine.reconfigure(hardware.remove(machine.device(4000)))
    machine.snapshot("the first is gone")
    moved = machine.device(4001)
    moved.backing.deviceName = "VM Network"
    moved.backing.network = None
    machine.reconfigure(hardware.edit(moved))
    machine.snapshot("another network")
    machine.revert(first)
    restored = round_trip(site, machine)
    assert len(set(macs(restored.vm.config))) == 1


def test_controllers_differ_from_snapshot_to_snapshot(site: Site) -> None:
    machine = site.create(disks=[hardware.MIB])
    first = machine.snapshot("scsi")
    machine.reconfigure(
        hardware.controller(hardware.NVME), hardware.disk(hardware.MIB, controller=-2)
    )
    machine.scribble("nvme")
    machine.snapshot("scsi and nvme")
    machine.revert(first)
    machine.reconfigure(
        hardware.remove(machine.device(2000)),
        hardware.controller(hardware.SATA),
        hardware.disk(hardware.MIB, controller=-2),
    )
    machine.scribble("sata")
    machine.snapshot("sata alone")
    round_trip(site, machine)


def test_nvram_and_identity(site: Site) -> None:
    machine = site.create()
    machine.guest.write_nvram(b"boot entries" * 9999)
    config = machine.vm.config
    restored = round_trip(site, machine)
    assert restored.guest.nvram() == b"boot entries" * 9999
    now = restored.vm.config
    assert (now.uuid, now.instanceUuid, macs(now)) == (
        config.uuid,
        config.instanceUuid,
        macs(config),
    )


def test_identity_is_new_where_the_original_stands(site: Site) -> None:
    machine = site.create()
    machine.snapshot("s")
    machine.scribble("now")
    before, config = machine.portrait(), machine.vm.config
    check_ok(site.backup())
    restore = site.restore(vmname="copy")
    check_ok(restore)
    assert "new UUID and new MAC addresses" in "\n".join(said(restore, "M_INFO"))
    assert machine.portrait() == before, "the original was touched"
    copy = site.find("copy")
    assert copy.portrait().faces == before.faces
    assert copy.vm.config.uuid != config.uuid
    assert copy.vm.config.instanceUuid != config.instanceUuid
    for each in (copy.vm.config, copy.vm.snapshot.rootSnapshotList[0].snapshot.config):
        assert len(macs(each)) == 1
        assert not set(macs(each)) & set(macs(config))


def test_a_running_vm(site: Site) -> None:
    machine = site.create(powered_on=True)
    machine.scribble("a")
    machine.snapshot("running", memory=True)
    machine.scribble("b")
    before = machine.portrait()
    check_ok(site.backup())
    assert machine.vm.runtime.powerState == "poweredOn"
    machine.scribble("after the backup")
    machine.guest.power_off()
    machine.destroy()

    check_ok(site.restore())
    restored = site.find()
    assert restored.vm.runtime.powerState == "poweredOn"
    assert restored.portrait() == before
