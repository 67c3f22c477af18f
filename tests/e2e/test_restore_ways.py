# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The ways to restore other than to where the VM was."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from . import hardware
from .hardware import MIB
from .joblog import check_failed, check_ok, said
from .machine import Machine
from .pictures import draw
from .site import Site

TREE = """
    A
      B
        C
      D *
"""


@pytest.mark.parametrize(
    ("options", "compute", "pool"),
    [
        ({"restore_cluster": "Cluster"}, "Cluster", "Resources"),
        ({"restore_cluster": "Cluster", "restore_resourcepool": "Pool"}, "Cluster", "Pool"),
        ({"restore_esxhost": "esx3.lab", "folder": "/vApp", "dc": "Lab"}, "Cluster", "vApp"),
    ],
    ids=["cluster", "pool", "host and vapp"],
)
def test_computing_elsewhere(
    site: Site, options: dict[str, str], compute: str, pool: str
) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    before = machine.portrait()
    check_ok(site.backup())
    check_ok(site.restore(vmname="copy", **options))
    copy = site.find("copy")
    assert copy.portrait().faces == before.faces
    assert copy.vm.runtime.host.parent.name == compute
    assert copy.vm.resourcePool.name == pool
    assert copy.vm.runtime.host.name == options.get("restore_esxhost", copy.vm.runtime.host.name)


def test_another_datastore_and_folder(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB, path="[datastore2]"))
    machine.scribble("a")
    machine.snapshot("s")
    machine.reconfigure(hardware.disk(MIB, path="[datastore1]"))
    machine.scribble("b")
    before = machine.portrait()
    check_ok(site.backup())
    check_ok(
        site.restore(restore_datastore="datastore2", dc="Lab", folder="/Production/Linux")
    )
    restored = next(vm for vm in site.lab.vcenter.vms() if vm.moid != machine.guest.moref)
    copy = Machine(site.lab, site.lab.guest(restored.moid), site.client)
    assert copy.vm.parent.name == "Linux"
    assert copy.portrait().faces == before.faces
    assert {store.name for store in copy.vm.datastore} == {"datastore2"}


def test_another_datacenter(site: Site) -> None:
    """Its hosts have a network of the same name, and another datastore."""
    machine = site.create(disks=[MIB])
    machine.snapshot("s")
    machine.scribble("a")
    before = machine.portrait()
    check_ok(site.backup())
    check_ok(site.restore(dc="/Sites/Branch%2fOffice/Remote", restore_datastore="remote1"))
    restored = next(vm for vm in site.lab.vcenter.vms() if vm.moid != machine.guest.moref)
    copy = Machine(site.lab, site.lab.guest(restored.moid), site.client)
    assert copy.vm.runtime.host.name == "esx9.remote"
    assert copy.portrait().faces == before.faces


def test_the_state_without_snapshots(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, TREE)
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    restore = site.restore(restore_snapshots="none")
    check_ok(restore)
    restored = site.find()
    assert restored.vm.snapshot is None
    assert restored.portrait().faces == before.faces[-1:]
    assert restored.portrait().features == before.features[-1:]
    assert site.lab.store.parent(restored.guest.path(2000)) is None, "a helper's delta is left"


@pytest.mark.parametrize(
    ("running", "wanted", "expected"),
    [(False, "on", "poweredOn"), (True, "off", "poweredOff"), (False, "previous", "poweredOff")],
)
def test_power_state(site: Site, running: bool, wanted: str, expected: str) -> None:
    site.create(disks=[MIB], powered_on=running)
    check_ok(site.backup())
    check_ok(site.restore(vmname="copy", restore_powerstate=wanted))
    assert site.find("copy").vm.runtime.powerState == expected


def test_time_points(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("first")
    before = machine.portrait()
    first = site.backup()
    check_ok(first)
    machine.scribble("b")
    machine.snapshot("second")
    second = site.backup()
    check_ok(second)
    machine.destroy()
    point = next(f.name for f in first.files if "/manifest." in f.name).split("manifest.")[1][:-5]
    jobs = [first.jobid, second.jobid]

    unknown = site.restore(jobs, restore_timepoint="20200101T000000Z-j1")
    told = check_failed(unknown, "no time point 20200101T000000Z-j1; the selected jobs hold")
    assert point in told, "the message names what there is"
    assert site.vm_names() == []

    check_ok(site.restore(jobs, restore_timepoint=point))
    assert site.find().portrait() == before
    site.find().destroy()
    check_ok(site.restore(jobs))
    assert site.find().snapshot_names == ["first", "second"]


def test_reading_back(site: Site) -> None:
    machine = site.create(disks=[MIB, MIB])
    draw(machine, TREE)
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    check_ok(site.restore(restore_readback="yes"))
    assert site.find().portrait() == before


def test_below_another_directory(site: Site) -> None:
    """Bareos puts `where` in front of every name."""
    machine = site.create(disks=[MIB])
    draw(machine, "A")
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    check_ok(site.restore(where="/tmp/bareos-restores"))
    assert site.find().portrait() == before


def test_without_restore_objects(site: Site) -> None:
    """A VirtualFull loses them: everything waits in the spool for the manifest."""
    machine = site.create(disks=[MIB])
    draw(machine, TREE)
    before = machine.portrait()
    backup = site.backup()
    check_ok(backup)
    virtual = site.daemon.virtual_full([backup.jobid])
    assert site.daemon.restore_objects(virtual.jobid) == []
    machine.destroy()
    restore = site.restore([virtual.jobid])
    check_ok(restore)
    assert any("kept in the working directory" in text for text in said(restore, "M_INFO"))
    assert site.find().portrait() == before


def qcow2_sha256(path: Path) -> str:
    """The digest of the content of an image with all below it."""
    raw = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def test_into_a_directory(site: Site, tmp_path: Path) -> None:
    machine = site.create(disks=[MIB, MIB + 512])
    taken = draw(machine, "A\n  (B)\n    C\n    D *\n  E\n")
    machine.guest.write_nvram(b"nvram" * 99)
    slots = {2000: "scsi0-0", 2001: "scsi0-1"}
    expected = {
        (name, slot): machine.guest.sha256(key, snapshot=snapshot and snapshot._moId)
        for name, snapshot in [*taken.items(), (None, None)]
        for key, slot in slots.items()
    }
    check_ok(site.backup())
    site.lab.server.stop()  # no vCenter is needed

    target = tmp_path / "qcow2 files"
    check_ok(site.restore(restore_target="directory", restore_directory=str(target)))
    tree: dict[str, Any] = json.loads((target / "tree.json").read_text())
    found = {
        (node["name"], slot): qcow2_sha256(target / path)
        for node in tree["nodes"]
        for slot, path in node["disks"].items()
    }
    assert found == expected
    assert (target / "nvram").read_bytes() == b"nvram" * 99
    assert not (target / "INCOMPLETE").exists()

    again = site.restore(restore_target="directory", restore_directory=str(target))
    check_failed(again, "directory .*qcow2 files is not empty")
    site.lab.server.start()
