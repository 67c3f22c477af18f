# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the product relies on without a promise of VMware's, and what happens when it fails.

docs/assumptions.md has a row for each. Where nothing in the API shows the failure, the test pins what
is lost, and what finds it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.vsphere import preflight
from vmsnap_lab import array
from vmsnap_lab.filedaemon import JobResult
from vmsnap_lab.guest import Guest
from vmsnap_lab.storage import CbtHabits, FileHabits
from vmsnap_lab.vcenter.habits import Habits
from vmsnap_lab.vddk import plugin
from vmsnap_lab.vddk.habits import VddkHabits

from . import hardware
from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, log, methods, reasons, said
from .large_vm import make_vm
from .machine import BLOCK, Machine, find_snapshot
from .site import Site
from .test_cbt import fault

DISK = "scsi0-0"
SIZE = 4 * MIB
# Blocks that scribble() does not touch here: they are checked to be clean first.
BEHIND = (21, 34, 55)
REPOSITORY = Path(__file__).parents[2]

Contents = dict[str, bytes]
needs_vddk = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


@pytest.fixture
def through_vddk(tmp_path: Path) -> Iterator[Site]:
    """A site whose disks are reached through the lab's VDDK."""
    made = Site(tmp_path, vddk=True)
    yield made
    try:
        assert made.remains() == []
    finally:
        made.close()


def contents(machine: Machine) -> Contents:
    """The first disk's bytes at every snapshot, by name, and now."""
    size = machine.device(2000).capacityInBytes
    found = {name: machine.guest.read(2000, 0, size, name) for name in machine.snapshot_names}
    return {**found, "now": machine.guest.read(2000, 0, size)}


def lost(expected: Contents, found: Contents) -> dict[str, set[int]]:
    """The blocks of 64 KiB that differ, by node."""
    assert expected.keys() == found.keys()
    places = {name: _differing(expected[name], found[name]) for name in expected}
    return {name: blocks for name, blocks in places.items() if blocks}


def _differing(one: bytes, other: bytes) -> set[int]:
    assert len(one) == len(other)
    places = range(0, len(one), BLOCK)
    return {at // BLOCK for at in places if one[at : at + BLOCK] != other[at : at + BLOCK]}


def restored(site: Site, *jobs: JobResult, name: str = "web1", **options: Any) -> Contents:
    """What these jobs, or all, bring back in the place of the VM."""
    site.find(name).destroy()
    job = site.restore([each.jobid for each in jobs] or None, **options)
    assert job.status == "T", log(job)
    return contents(site.find(name))


def some_vm(site: Site, **how: Any) -> Machine:
    """A VM with the snapshot A, whose blocks BEHIND nobody has written."""
    machine = site.create(disks=[SIZE], **how)
    for name in ("a", "b"):
        machine.guest.write(2000, 0, name.encode() * 3 * BLOCK)
        machine.guest.write(2000, SIZE - BLOCK, name.encode() * 512)
        if name == "a":
            machine.snapshot("A")
    return machine


def behind() -> list[tuple[int, Any]]:
    return [(number * BLOCK + 512, b"behind CBT") for number in BEHIND]


def remembers(job: JobResult) -> bool:
    return "remembered from" in reasons(job)["now", DISK]


def was_audited(job: JobResult) -> bool:
    """The audit found it, said so, and the current state was compared."""
    assert job.status == "T", log(job)
    assert any("[audit-mismatch]" in text for text in said(job, "M_WARNING")), log(job)
    return methods(job)["now", DISK] == "compare"


# CBT itself, and the witnesses of ancestry


def test_cbt_that_misses_changes(site: Site) -> None:
    machine = some_vm(site)
    before = contents(machine)
    site.lab.habits.cbt.misses = 1.0
    blind = site.backup()
    check_ok(blind)
    audited = site.backup(audit="64")
    assert was_audited(audited)
    assert restored(site, audited) == before
    found = lost(before, restored(site, blind))
    assert found == {"now": {0, 1, 2, SIZE // BLOCK - 1}}


def test_both_witnesses_fail(site: Site) -> None:
    """A revert that leaves the marker where it is, and no event."""
    site.lab.habits.silent_reverts = True
    site.lab.habits.revert_restores_options = False
    machine = some_vm(site)
    full = site.backup()
    check_ok(full)
    for block in BEHIND[:2]:  # after two reverts the file has its old name
        machine.revert(find_snapshot(machine, "A"))
        machine.guest.write(2000, block * BLOCK, b"x")
    before = contents(machine)
    blind = site.backup(level="Incremental")
    check_ok(blind)
    assert remembers(blind)
    audited = site.backup(level="Incremental", audit="64")
    check_ok(audited)
    assert not remembers(audited)
    assert restored(site) == before
    found = lost(before, restored(site, full, blind))
    assert found == {"now": {0, 1, 2, SIZE // BLOCK - 1}}


# Written behind CBT


def test_written_behind_cbt(site: Site) -> None:
    machine = some_vm(site)
    machine.guest.write_behind(2000, behind())
    before = contents(machine)
    blind = site.backup()
    check_ok(blind)
    assert methods(blind)["now", DISK] == "cbt"
    audited = site.backup(audit="64")
    assert was_audited(audited)
    without = site.backup(use_cbt="no")
    check_ok(without)
    assert methods(without)["now", DISK] == "compare"
    assert "use_cbt=no" in reasons(without)["now", DISK]
    for job in (audited, without):
        assert restored(site, job) == before
    assert lost(before, restored(site, blind)) == {"now": set(BEHIND)}


def test_written_behind_cbt_without_a_snapshot(site: Site) -> None:
    """Nothing is left to compare with, so that the audit cannot look; the next Full has it."""
    machine = site.create(disks=[SIZE])
    machine.guest.write(2000, 0, b"a" * BLOCK)
    full = site.backup()
    check_ok(full)
    machine.guest.write_behind(2000, behind())
    before = contents(machine)
    job = site.backup(level="Incremental", audit="64")
    check_ok(job)
    assert remembers(job)
    again = site.backup()
    check_ok(again)
    assert restored(site, again) == before
    assert lost(before, restored(site, full, job)) == {"now": set(BEHIND)}


def test_a_frozen_disk_is_written(site: Site) -> None:
    """A saved snapshot is never read again but by a Full."""
    machine = some_vm(site)
    full = site.backup()
    check_ok(full)
    machine.guest.write_behind(2000, behind(), "A")
    before = contents(machine)
    job = site.backup(level="Incremental", audit="64")
    check_ok(job)
    again = site.backup()
    check_ok(again)
    assert restored(site, again) == before
    found = lost(before, restored(site, full, job))
    assert found == {"A": set(BEHIND), "now": set(BEHIND)}


# What is in use


@needs_vddk
@pytest.mark.parametrize("method", ["compare", "full"])
def test_an_incomplete_allocation_map(through_vddk: Site, method: str) -> None:
    """CBT's own answer to what is in use stands beside it."""
    site = through_vddk
    machine = some_vm(site)
    before = contents(machine)
    site.lab.vddk.habits.hidden = 1.0
    site.lab.habits.fail("QueryChangedDiskAreas", fault("cannotGetChanges"), nth=2)
    job = site.backup(without_cbt=method)
    check_ok(job)
    assert methods(job) == {("A", DISK): "allocated", ("now", DISK): method}
    assert restored(site) == before


@needs_vddk
def test_an_incomplete_allocation_map_without_cbt(through_vddk: Site) -> None:
    """Nothing else tells what is in use; read_all needs nobody to tell."""
    site = through_vddk
    machine = some_vm(site, cbt=False)
    before = contents(machine)
    site.lab.vddk.habits.hidden = 1.0
    blind = site.backup(enable_cbt="no")
    assert blind.status == "T"
    assert methods(blind) == {("A", DISK): "allocated", ("now", DISK): "compare"}
    whole = site.backup(enable_cbt="no", read_all="yes")
    assert "all of the disk is read: read_all=yes" in reasons(whole)["now", DISK]
    assert restored(site, whole) == before
    found = lost(before, restored(site, blind))
    assert found == {name: {0, 1, 2, SIZE // BLOCK - 1} for name in before}


@needs_vddk
def test_a_file_that_does_not_tell_all_that_was_written(through_vddk: Site) -> None:
    """Only with without_cbt=link."""
    site = through_vddk
    machine = some_vm(site, cbt=False)
    before = contents(machine)
    site.lab.vddk.habits.hidden = 1.0
    options: dict[str, Any] = {"enable_cbt": "no", "read_all": "yes"}
    blind = site.backup(without_cbt="link", **options)
    assert methods(blind)["now", DISK] == "link"
    compared = site.backup(without_cbt="compare", **options)
    assert restored(site, compared) == before
    assert lost(before, restored(site, blind)) == {"now": {0, 1, 2, SIZE // BLOCK - 1}}


def linked_clone(site: Site, machine: Machine) -> Machine:
    """A linked clone of the snapshot A, which has a snapshot of its own, and a change since."""
    snapshot = find_snapshot(machine, "A")
    move = vim.vm.RelocateSpec(diskMoveType="createNewChildDiskBacking")
    spec = vim.vm.CloneSpec(location=move, powerOn=False, template=False, snapshot=snapshot)
    WaitForTask(machine.vm.CloneVM_Task(machine.vm.parent, "clone1", spec))
    clone = site.find("clone1")
    clone.guest.write(2000, BEHIND[0] * BLOCK, b"of the clone")
    clone.snapshot("B")
    clone.guest.write(2000, BEHIND[1] * BLOCK, b"since")
    return clone


@needs_vddk
def test_a_linked_clone(through_vddk: Site) -> None:
    """Neither CBT nor the allocation map tells of the other VM's files, and CBT loses changes."""
    site = through_vddk
    clone = linked_clone(site, some_vm(site))
    site.lab.habits.cbt.star = "own-files"
    site.lab.habits.cbt.late_misses = 1.0
    site.lab.vddk.habits.own_files = True
    full = site.backup("clone1")
    check_ok(full)
    assert methods(full) == {("B", DISK): "allocated", ("now", DISK): "compare"}
    for told in reasons(full).values():
        assert "outside of the VM's folders, [datastore1] web1/web1.vmdk" in told
    clone.guest.write(2000, BEHIND[2] * BLOCK, b"more")
    before = contents(clone)
    job = site.backup("clone1", level="Incremental")
    check_ok(job)
    assert methods(job) == {("now", DISK): "compare"}
    assert restored(site, name="clone1") == before


# A storage array


def test_a_folder_rolled_back(site: Site) -> None:
    """With it goes the marker of the last job; vCenter's events tell of nothing."""
    machine = some_vm(site)
    check_ok(site.backup())
    machine.guest.write(2000, BEHIND[0] * BLOCK, b"x")
    image = array.take(machine.guest.vm)
    check_ok(site.backup(level="Incremental"))
    machine.guest.write(2000, BEHIND[1] * BLOCK, b"y")
    array.roll_back(machine.guest.vm, image)
    machine.guest.write(2000, BEHIND[2] * BLOCK, b"z")
    machine.remove(machine.snapshot("between"))  # so that the numbers of change ids rise
    before = contents(machine)
    job = site.backup(level="Incremental")
    check_ok(job)
    assert not remembers(job)
    assert "the marker that the previous backup left in the VM is gone" in log(job)
    assert restored(site) == before


def test_a_folder_rolled_back_without_the_marker(site: Site) -> None:
    """Then nothing tells of it, unless an option demands the marker."""
    granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES]
    site.lab.vcenter.add_user("backup", site.lab.password, granted)
    machine = some_vm(site)
    first = site.backup(vcuser="backup")
    image = array.take(machine.guest.vm)
    machine.guest.write(2000, BEHIND[0] * BLOCK, b"x")
    second = site.backup(level="Incremental", vcuser="backup")
    array.roll_back(machine.guest.vm, image)
    machine.guest.write(2000, BEHIND[1] * BLOCK, b"y")
    machine.remove(machine.snapshot("between"))
    before = contents(machine)
    third = site.backup(level="Incremental", vcuser="backup")
    careful = site.backup(level="Incremental", vcuser="backup", require_marker="yes")
    assert (remembers(third), remembers(careful)) == (True, False)
    assert {job.status for job in (first, second, third, careful)} == {"T"}
    user = {"vcuser": site.lab.user}
    assert restored(site, **user) == before
    found = lost(before, restored(site, first, second, third, **user))
    assert found == {"now": set(BEHIND[:2])}


def test_a_folder_rolled_back_to_between_marker_and_backup_snapshot(site: Site) -> None:
    """The array's snapshot was taken in the very moment in which the marker proves too much."""
    machine = some_vm(site)
    full = site.backup()
    images: list[array.FolderImage] = []

    def meanwhile(method: str, session: Any) -> None:
        if method == "CreateSnapshot_Task" and not images:
            images.append(array.take(machine.guest.vm))
            machine.guest.write(2000, BEHIND[0] * BLOCK, b"x")

    site.lab.habits.before_call = meanwhile
    second = site.backup(level="Incremental")
    site.lab.habits.before_call = None
    array.roll_back(machine.guest.vm, images[0])
    machine.guest.write(2000, BEHIND[1] * BLOCK, b"y")
    machine.remove(machine.snapshot("between"))
    before = contents(machine)
    blind = site.backup(level="Incremental")
    assert remembers(blind)
    audited = site.backup(level="Incremental", audit="64")
    assert not remembers(audited)
    # With use_cbt=no nothing is remembered either.
    assert not remembers(site.backup(level="Incremental", use_cbt="no"))
    for job in (full, second, blind, audited):
        check_ok(job)
    assert restored(site) == before
    assert lost(before, restored(site, full, second, blind)) == {"now": set(BEHIND[:2])}


def test_disks_rolled_back_alone(site: Site) -> None:
    """The marker is in the configuration, on another LUN, and stays."""
    machine = some_vm(site)
    full = site.backup()
    image = array.take(machine.guest.vm)
    machine.guest.write(2000, BEHIND[0] * BLOCK, b"x")
    second = site.backup(level="Incremental")
    array.roll_back_disks(machine.guest.vm, image)
    machine.guest.write(2000, BEHIND[1] * BLOCK, b"y")
    at_once = site.backup(level="Incremental")
    assert "sequence does not rise" in log(at_once)
    array.roll_back_disks(machine.guest.vm, image)
    machine.guest.write(2000, BEHIND[2] * BLOCK, b"z")
    for name in ("one", "two"):
        machine.remove(machine.snapshot(name))
    before = contents(machine)
    blind = site.backup(level="Incremental")
    assert (remembers(at_once), remembers(blind)) == (False, True)
    audited = site.backup(level="Incremental", audit="64")
    for job in (full, second, at_once, blind, audited):
        check_ok(job)
    assert restored(site) == before
    assert lost(before, restored(site, full, second, at_once, blind)) == {"now": set(BEHIND[1:])}


# Detached and attached


def take_it_elsewhere(machine: Machine) -> None:
    """Detach the disk, have somebody write its file, and attach it again."""
    disk = machine.device(2000)
    path = disk.backing.fileName
    machine.reconfigure(hardware.remove(disk))
    machine.lab.store.write_behind(path, behind())
    machine.reconfigure(hardware.disk(SIZE, path=path, attach=True, unit=0))


@pytest.mark.parametrize(("uuid", "method"), [("kept", "compare"), ("new", "allocated")])
def test_a_disk_written_while_detached(site: Site, uuid: str, method: str) -> None:
    """Its UUID and its change ids are as before, or it counts as another disk."""
    site.lab.habits.attach_uuid = uuid
    machine = some_vm(site)
    check_ok(site.backup())
    take_it_elsewhere(machine)
    before = contents(machine)
    job = site.backup(level="Incremental")
    check_ok(job)
    assert methods(job) == {("now", DISK): method}
    assert ("the disk was detached" in reasons(job)["now", DISK]) is (uuid == "kept")
    full = site.backup()
    check_ok(full)
    assert methods(full)["now", DISK] == method
    assert restored(site, full) == before


def test_a_vm_written_while_it_was_not_registered(site: Site) -> None:
    machine = some_vm(site)
    check_ok(site.backup())
    vm, path = machine.vm, machine.vm.config.files.vmPathName
    folder, pool, disk = vm.parent, vm.resourcePool, machine.guest.path(2000)
    vm.UnregisterVM()
    site.lab.store.write_behind(disk, behind())
    WaitForTask(folder.RegisterVM_Task(path, None, False, pool, None))
    before = contents(site.find())
    job = site.backup(level="Incremental")
    check_ok(job)
    assert methods(job) == {("now", DISK): "compare"}
    assert "the VM was registered anew" in reasons(job)["now", DISK]
    assert restored(site) == before


def test_a_disk_written_while_detached_without_an_event(site: Site) -> None:
    site.lab.habits.silent_reconfigurations = True
    machine = some_vm(site)
    full = site.backup()
    check_ok(full)
    take_it_elsewhere(machine)
    before = contents(machine)
    blind = site.backup(level="Incremental")
    check_ok(blind)
    assert remembers(blind)
    audited = site.backup(level="Incremental", audit="64")
    assert was_audited(audited)
    assert restored(site) == before
    assert lost(before, restored(site, full, blind)) == {"now": set(BEHIND)}


# Merged while it is read


def test_an_open_disk_is_merged_into(site: Site) -> None:
    site.lab.habits.files.merge_open = True
    machine = make_vm(site)
    first = find_snapshot(machine, "A")
    job = site.backup(cancel=During(lambda: machine.remove(first), stored=MIB))
    check_failed(job, "The snapshot 'A' of VM web1 was deleted while the job worked with the VM")
    assert machine.snapshot_names == ["B"]
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before


# A crash


@pytest.mark.parametrize(
    ("crash", "leaves", "why"),
    [
        ("new-uuid", "nothing", "different UUIDs"),
        ("loses", "disconnected", "may have crashed"),
        ("loses", "restarted", "crashed|was restarted as its host had failed"),
    ],
)
def test_cbt_lost_in_a_crash(site: Site, crash: Any, leaves: str, why: str) -> None:
    site.lab.habits.cbt.crash, site.lab.habits.crash_leaves = crash, leaves
    machine = some_vm(site, powered_on=True)
    check_ok(site.backup(quiesce="no"))
    machine.guest.write(2000, BEHIND[0] * BLOCK, b"before the crash")
    machine.guest.crash()
    machine.guest.power_on()
    machine.guest.write(2000, BEHIND[1] * BLOCK, b"after it")
    before = contents(machine)
    job = site.backup(level="Incremental", quiesce="no")
    check_ok(job)
    assert methods(job) == {("now", DISK): "compare"}
    assert re.search(why, reasons(job)["now", DISK])
    machine.guest.power_off()
    assert restored(site, restore_powerstate="off") == before


def test_cbt_lost_in_a_crash_that_nothing_tells_of(site: Site) -> None:
    site.lab.habits.cbt.crash, site.lab.habits.crash_leaves = "loses", "nothing"
    machine = some_vm(site, powered_on=True)
    full = site.backup(quiesce="no")
    check_ok(full)
    machine.guest.write(2000, BEHIND[0] * BLOCK, b"before the crash")
    machine.guest.crash()
    before = contents(machine)
    blind = site.backup(level="Incremental")
    check_ok(blind)
    assert remembers(blind)
    audited = site.backup(level="Incremental", audit="64")
    assert was_audited(audited)
    assert restored(site, restore_powerstate="off") == before
    found = lost(before, restored(site, full, blind, restore_powerstate="off"))
    assert found == {"now": {BEHIND[0]}}


# A clone in the VM's place


def test_a_clone_takes_the_place_of_the_vm(site: Site) -> None:
    """With its name, its instance UUID and, as part of its configuration, its markers."""
    machine = some_vm(site)
    check_ok(site.backup())
    uuid = machine.vm.config.instanceUuid
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    WaitForTask(machine.vm.CloneVM_Task(machine.vm.parent, "copy", spec))
    machine.destroy()
    clone = site.find("copy")
    clone.rename("web1")
    clone.reconfigure(instanceUuid=uuid)
    markers = [o.value for o in clone.vm.config.extraConfig if o.key == "bareos-vmsnap.backup"]
    assert len(markers) == 1
    clone.guest.write(2000, BEHIND[0] * BLOCK, b"of the clone")
    before = contents(clone)
    job = site.backup(level="Incremental")
    check_ok(job)
    assert methods(job) == {("now", DISK): "allocated"}
    assert restored(site) == before


# The document

_SWITCHES: dict[str, Any] = {
    "habits": Habits,
    "habits.cbt": CbtHabits,
    "habits.files": FileHabits,
    "vddk.habits": VddkHabits,
    "guest": Guest,
    "array": array,
}


def rows() -> list[list[str]]:
    """The cells of the table of docs/assumptions.md."""
    lines = (REPOSITORY / "docs" / "assumptions.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1:]]


def has(holder: Any, name: str) -> bool:
    if dataclasses.is_dataclass(holder):
        return name in {field.name for field in dataclasses.fields(holder)}
    assert isinstance(holder, (type, ModuleType))
    return inspect.isfunction(getattr(holder, name, None))


def test_every_row_names_a_switch_and_a_test_that_exist() -> None:
    found = rows()
    assert len(found) > len(_SWITCHES)
    named: set[str] = set()
    source = (REPOSITORY / "lab/vmsnap_lab/vcenter/operations/virtual_machines.py").read_text()
    operations = re.findall(r'@operation_of\(VirtualMachine, "(\w+)"\)', source)
    for cells in found:
        assert len(cells) == 5, cells
        switches, tests = (re.findall(r"`([^`]+)`", cell) for cell in cells[3:])
        assert switches and tests, cells
        for switch in switches:
            place, _, name = switch.rpartition(".")
            assert has(_SWITCHES[place], name) if place else name in operations, switch
        for test in tests:
            path, _, name = test.partition("::")
            source = (REPOSITORY / "tests" / path).read_text()
            assert re.search(rf"^def {name}\(", source, re.MULTILINE), test
            named.add(test)
    here = {
        f"e2e/test_assumptions.py::{name}"
        for name, value in globals().items()
        if name.startswith("test_") and "rows" not in value.__code__.co_names
    }
    assert here <= named, here - named
