# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The options that restore a VM other than to where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from . import hardware
from .conftest import Saved
from .hardware import MIB
from .joblog import check_failed, check_ok
from .machine import Machine
from .pictures import draw
from .site import Site


def copied(saved: Saved, **options: Any) -> Machine:
    """Restore the saved VM under another name; return the copy, which is the same."""
    check_ok(saved.restore(vmname="copy", **options))
    copy = saved.site.find("copy")
    assert copy.portrait().faces == saved.before.faces
    return copy


@pytest.mark.parametrize(
    ("options", "compute", "pool"),
    [
        ({"restore_cluster": "Cluster"}, "Cluster", "Resources"),
        ({"restore_resourcepool": "Pool"}, "Cluster", "Pool"),
        ({"restore_esxhost": "esx3.lab", "folder": "/vApp"}, "Cluster", "vApp"),
    ],
    ids=["cluster", "pool", "host and vapp"],
)
def test_computing_elsewhere(
    saved: Saved, options: dict[str, Any], compute: str, pool: str
) -> None:
    copy = copied(saved, **options)
    assert copy.vm.runtime.host.parent.name == compute
    assert copy.vm.resourcePool.name == pool
    assert copy.vm.runtime.host.name == options.get("restore_esxhost", copy.vm.runtime.host.name)


def test_another_datacenter(saved: Saved) -> None:
    """Its hosts have a network of the same name, and another datastore."""
    copy = copied(saved, dc="/Sites/Branch%2fOffice/Remote", restore_datastore="remote1")
    assert copy.vm.runtime.host.name == "esx9.remote"
    assert copy.vm.network[0].name == "VM Network"


def test_names_of_files(saved: Saved) -> None:
    """They are those of the complete VM, and those of another one are left alone."""
    first = copied(saved)
    assert first.vm.config.files.vmPathName == "[datastore1] copy/copy.vmx"
    disks = [file.name for file in first.vm.layoutEx.file if file.name.endswith(".vmdk")]
    assert disks
    assert all(name.startswith("[datastore1] copy/copy") for name in disks)
    first.rename("old")
    second = copied(saved)
    assert second.vm.config.files.vmPathName == "[datastore1] copy_1/copy.vmx"


def test_a_server_that_takes_no_names_of_files(saved: Saved) -> None:
    """It chooses them itself, by the name the VM has at first."""
    fault = vim.fault.CannotCreateFile(file="[datastore1] copy", msg="Cannot create the directory")
    saved.site.lab.habits.fail("CreateVM_Task", fault)
    path = copied(saved).vm.config.files.vmPathName
    assert path.startswith("[datastore1] copy (incomplete restore)/")


def test_names_that_files_cannot_have(saved: Saved) -> None:
    check_ok(saved.restore(vmname=". a/b:c\\d? "))
    (found,) = (vm for vm in saved.site.lab.vcenter.vms() if vm.name.startswith(". a"))
    assert found.name == ". a%2fb:c%5cd? "
    assert found.live.files.vmPathName == "[datastore1] a_b_c_d_/a_b_c_d_.vmx"


def test_reading_back(saved: Saved) -> None:
    copied(saved, restore_readback="yes")


@contextlib.contextmanager
def forgetful_disk(folder: Path, size: int) -> Iterator[str]:
    """A server that takes all that is written and keeps none of it; yields its URI."""
    socket = folder / "2000.sock"
    command = ["nbdkit", "--foreground", "--unix", str(socket), "null", f"size={size}"]
    server = subprocess.Popen(command)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield f"nbd+unix:///?socket={folder}/{{disk}}.sock"
    finally:
        server.terminate()
        server.wait()


def test_reading_back_finds_what_a_disk_has_lost(site: Site, tmp_path: Path) -> None:
    site.create(disks=[MIB]).scribble("a")
    uris = site.directory / "uris.ini"
    uris.write_text(f"[vmware_plugin_options]\nnbd_uri={site.lab.nbd_uri}\n")
    check_ok(site.backup(nbd_uri=None, config_file=str(uris)))
    with tempfile.TemporaryDirectory() as folder, forgetful_disk(Path(folder), MIB) as uri:
        uris.write_text(f"[vmware_plugin_options]\nnbd_uri={uri}\n")
        check_ok(site.restore(vmname="lost"))
        job = site.restore(vmname="copy", restore_readback="yes")
    check_failed(job, "does not give back what was written")
    assert "copy (incomplete restore)" in site.vm_names()


def test_below_another_directory(saved: Saved) -> None:
    """Bareos puts `where` in front of every name."""
    copied(saved, where="/tmp/bareos-restores")


def test_without_restore_objects(saved: Saved) -> None:
    """A VirtualFull loses them: everything waits in the spool for the manifest."""
    daemon = saved.site.daemon
    virtual = daemon.virtual_full([saved.job.jobid])
    assert daemon.restore_objects(virtual.jobid) == []
    copied(saved, jobs=[virtual.jobid])
    log = daemon.joblog(daemon.jobs()[-1].jobid)
    assert len([m for m in log if "kept in the working directory" in m.text]) == 1


def test_the_state_without_snapshots(saved: Saved) -> None:
    check_ok(saved.restore(vmname="copy", restore_snapshots="none"))
    copy = saved.site.find("copy")
    assert copy.vm.snapshot is None
    assert copy.portrait().faces == saved.before.faces[-1:]
    assert saved.site.lab.store.parent(copy.guest.path(2000)) is None, "a helper's delta is left"


@pytest.mark.parametrize(("wanted", "found"), [("on", "poweredOn"), ("previous", "poweredOff")])
def test_power_state(saved: Saved, wanted: str, found: str) -> None:
    copy = copied(saved, restore_powerstate=wanted)
    assert copy.vm.runtime.powerState == found


def test_a_vm_that_ran_stays_off(site: Site) -> None:
    site.create(disks=[MIB], powered_on=True)
    check_ok(site.backup())
    check_ok(site.restore(vmname="copy", restore_powerstate="off"))
    assert site.find("copy").vm.runtime.powerState == "poweredOff"


def test_another_datastore_and_folder(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB, path="[datastore2]"))
    machine.scribble("a")
    machine.snapshot("s")
    machine.reconfigure(hardware.disk(MIB, path="[datastore1]"))
    machine.scribble("b")
    before = machine.portrait()
    check_ok(site.backup())
    check_ok(site.restore(restore_datastore="datastore2", dc="Lab", folder="/Production/Linux"))
    restored = next(vm for vm in site.lab.vcenter.vms() if vm.moid != machine.guest.moref)
    copy = Machine(site.lab, site.lab.guest(restored.moid), site.client)
    assert copy.vm.parent.name == "Linux"
    assert copy.portrait().faces == before.faces
    assert {store.name for store in copy.vm.datastore} == {"datastore2"}


def test_time_points(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("first")
    before = machine.portrait()
    first = site.backup()
    check_ok(first)
    machine.scribble("b")
    machine.snapshot("second")
    second = site.backup(level="Incremental")
    check_ok(second)
    machine.destroy()
    point = next(f.name for f in first.files if "/manifest." in f.name).split("manifest.")[1][:-5]
    jobs = [first.jobid, second.jobid]

    unknown = site.restore(jobs, restore_timepoint="20200101T000000Z-j1")
    message = check_failed(unknown, "no time point 20200101T000000Z-j1; the selected jobs hold")
    assert point in message, "the message names what there is"
    assert site.vm_names() == []

    check_ok(site.restore(jobs, restore_timepoint=point))
    assert site.find().portrait() == before
    site.find().destroy()
    check_ok(site.restore(jobs))
    assert site.find().snapshot_names == ["first", "second"]


def qcow2_sha256(path: Path) -> str:
    """The digest of the content of an image with all below it."""
    raw = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def test_into_a_directory(site: Site, tmp_path: Path) -> None:
    machine = site.create(disks=[MIB, MIB + 512])
    taken = draw(machine, "(A)\n  (B)\n    C\n    D *\n  E\n")
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
    again = site.restore(restore_target="directory", restore_directory=str(target))
    check_failed(again, "directory .*qcow2 files is not empty")
    target = target.rename(tmp_path / "moved elsewhere")
    tree: dict[str, Any] = json.loads((target / "tree.json").read_text())
    found = {
        (node["name"], slot): qcow2_sha256(target / path)
        for node in tree["nodes"]
        for slot, path in node["disks"].items()
    }
    assert found == expected
    assert (target / "nvram").read_bytes() == b"nvram" * 99
    assert not (target / "INCOMPLETE").exists()
    site.lab.server.start()
