# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Jobs over nbdkit's real vddk plugin and the lab's stand-in for VMware's library."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vmodl

from bareos_vmsnap.mover.child.slots import Slots
from bareos_vmsnap.transport.disks import ConnectionLimit
from vmsnap_lab.filedaemon import Cancel, Message
from vmsnap_lab.vddk import VixError, plugin

from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, log, methods, reasons, said
from .large_vm import make_vm
from .meddling import before_calls
from .migration import migrate
from .pictures import draw
from .roundtrip import round_trip
from .site import Site
from .test_relocation_block import wait_until
from .test_secrets import PASSWORD, check_files, check_job, use, watched_processes

# A segment is not read whole when its first MiB is stored.
FEW = {"requests_in_flight": "3"}
DISK = "scsi0-0"

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose jobs go through VDDK; no job leaves a disk open or a process behind."""
    made = Site(tmp_path, vddk=True)
    yield made
    try:
        assert made.remains() == []
        assert made.lab.vddk.open_disks == []
    finally:
        made.close()


def kept_logs(site: Site) -> list[Path]:
    return list((site.directory / "bareos" / "working" / "bareos-vmsnap-log").glob("*.log"))


def test_a_forked_tree_comes_back(site: Site) -> None:
    """And every nbdkit gets no more than it needs, and keeps to what VDDK wants."""
    machine = site.create(disks=[MIB, 70 * 1024])
    draw(machine, "A\n  B\n    C\n  D *\n", hardware=True)
    round_trip(site, machine)
    vddk = site.lab.vddk
    assert len(vddk.processes) >= 20
    for process in vddk.processes:
        if "bareos_vmsnap.relocation_block" in process.arguments:
            continue
        arguments = dict(entry.partition("=")[::2] for entry in process.arguments)
        assert arguments["password"].startswith("-")
        assert not {"reexeced_", "cookie"} & set(arguments)
        assert ("snapshot" in arguments) == ("--readonly" in arguments)
        modes = "nbdssl:nbd" if "snapshot" in arguments else "nbdssl:nbd:hotadd"
        assert arguments["transports"] == modes
        assert set(process.environment) == {"PATH", "LC_ALL", "HOME", "TMPDIR", "LD_LIBRARY_PATH"}
        for text in (*process.arguments, *process.environment.values()):
            assert site.lab.password not in text
    assert vddk.named("Lost") == []
    closed = [call.counts for call in vddk.named("Close") if call.counts is not None]
    assert not [counts for counts in closed if counts.failures or counts.unflushed_writes]
    assert max(counts.largest_read for counts in closed) <= 2 * MIB
    assert kept_logs(site) == []


def test_the_password_stays_a_secret_in_all_that_vddk_tells(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n")
    use(site, PASSWORD)
    with watched_processes(site):
        jobs = [site.backup(vddk_log="debug")]
        machine.destroy()
        jobs.append(site.restore())
    for job in jobs:
        check_ok(job)
        check_job(job)
    assert sum("VDDK call" in path.read_text() for path in kept_logs(site)) == 2
    check_files(site.directory / "bareos", site.temporary)


def test_a_digest_that_is_no_sha1_pins_the_certificate_too(site: Site) -> None:
    """VDDK is given the SHA-1 of the certificate that was verified, whatever verified it."""
    pem = (site.lab.ca_file.parent / "server.pem").read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    draw(site.create(disks=[MIB]), "A\n")
    check_ok(site.backup(ca_file=None, vcthumbprint=digest))


def test_a_single_host(tmp_path: Path) -> None:
    site = Site(tmp_path, vddk=True, flavour="esxi")
    try:
        machine = site.create(disks=[MIB])
        draw(machine, "A\n  B\n")
        before = machine.portrait()
        check_ok(site.backup(dc="ha-datacenter"))
        assert len(list((tmp_path / "bareos/working/bareos-vmsnap-slots").iterdir())) == 1
        machine.destroy()
        check_ok(site.restore())
        assert site.find().portrait() == before
        assert site.lab.vddk.named("PrepareForAccess") == []
        assert site.remains() == []
    finally:
        site.close()


@pytest.mark.parametrize(
    ("call", "error", "problem"),
    [
        ("Open", VixError.FILE_ALREADY_LOCKED, "the disk is locked"),
        ("ConnectEx", VixError.HOST_USER_PERMISSIONS, "lacks a privilege that VDDK needs"),
    ],
)
def test_a_disk_that_cannot_be_opened(site: Site, call: str, error: VixError, problem: str) -> None:
    machine = make_vm(site)
    site.lab.vddk.habits.fail(call, error, times=9)
    job = site.backup()
    message = check_failed(job, f"s0001-A/scsi0-0.*vmseg cannot be read: .*{problem}")
    assert "no export" in message
    assert machine.snapshot_names == ["A", "B"]
    [kept] = kept_logs(site)
    assert any(f"What nbdkit and VDDK wrote is kept in {kept}" in text for text in said(job))
    assert "VixDiskLib_" in kept.read_text()
    assert site.lab.password not in kept.read_text()


def test_a_short_outage_is_survived_by_a_backup(site: Site) -> None:
    machine = make_vm(site)
    before = machine.portrait()

    def break_network() -> None:
        for disk in list(site.lab.vddk.open_disks):
            site.lab.vddk.drop(disk)

    job = site.backup(cancel=During(break_network, stored=MIB), **FEW)
    check_ok(job)
    notes = [text for text in said(job, "M_INFO") if "connected anew after: " in text]
    assert notes
    assert "cannot be reached" in notes[0]
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before


def test_a_connection_lost_for_longer_or_in_a_restore(site: Site) -> None:
    machine = make_vm(site)

    def maintain() -> None:
        site.lab.vddk.habits.maintenance = True

    job = site.backup(cancel=During(maintain, stored=MIB), **FEW)
    check_failed(job, r"was not saved whole: .*s.* goes into maintenance mode")
    assert machine.snapshot_names == ["A", "B"]
    site.lab.vddk.habits.reset()
    check_ok(site.backup())
    machine.destroy()
    site.lab.vddk.habits.fail("Write", VixError.HOST_TCP_CONN_LOST, nth=3)
    check_failed(site.restore(), "was not restored: .* cannot be reached")
    assert site.vm_names() == ["web1 (incomplete restore)"]


def when_it_waits(act: Callable[[], None]) -> Callable[[Message], None]:
    """Do something a little after the job has said that it waits for a connection."""

    def on_message(message: Message) -> None:
        if "waiting for a free connection" in message.text:
            threading.Timer(1, act).start()

    return on_message


def test_waiting_for_a_connection(site: Site) -> None:
    """Another job has all of them; this one waits, says so, and goes on."""
    draw(site.create(disks=[MIB]), "A\n")
    host = site.find().vm.runtime.host.name
    slots = site.directory / "bareos" / "working" / "bareos-vmsnap-slots"
    others = Slots()
    others.take({ConnectionLimit(0, f"ESXi host {host}", 3, str(slots)): 3})
    site.on_message = when_it_waits(others.release)
    job = site.backup(vddk_host_connections="3")
    check_ok(job)
    waited = [text for text in said(job, "M_INFO") if "connection to ESXi host" in text]
    assert "waiting for a free connection" in waited[0]
    assert "waited " in waited[1]


def test_a_job_that_waits_can_be_canceled(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n")
    host = site.find().vm.runtime.host.name
    slots = site.directory / "bareos" / "working" / "bareos-vmsnap-slots"
    others = Slots()
    others.take({ConnectionLimit(0, f"ESXi host {host}", 3, str(slots)): 3})
    try:
        cancel = Cancel()
        site.on_message = when_it_waits(cancel.request)
        job = site.backup(vddk_host_connections="3", cancel=cancel)
        assert job.status == "A", log(job)
        assert said(job, "M_FATAL") == []
    finally:
        others.release()
    assert machine.snapshot_names == ["A"]


def move_between_two(site: Site, name: str) -> None:
    """Move a VM as soon as the job has closed a disk, and is stopped before it opens the next.

    The lab, unlike some hosts, lets nobody move a disk that VDDK has open.
    """
    while True:
        wait_until(lambda: site.open_disks() == [])
        with site.paused():
            if site.open_disks() == []:
                WaitForTask(migrate(site, site.find(name), "datastore2"))
                return


def test_disks_that_are_moved_in_the_middle_fail_the_job(site: Site) -> None:
    machine = make_vm(site)

    def move() -> None:
        move_between_two(site, "web1")

    cancel = During(move, label="plugin_io IO_CLOSE")
    job = site.backup(cancel=cancel, prevent_storage_vmotion="no")
    message = check_failed(
        job, r"were moved while the job worked on them \(Storage vMotion\): \[datastore1\]"
    )
    assert "is now [datastore2]" in message
    assert machine.snapshot_names == ["A", "B"]
    check_ok(site.backup())


@pytest.mark.parametrize(
    ("call", "stand"),
    [
        ("RetrievePropertiesEx", []),  # the look at the VM before a snapshot
        ("CreateSnapshot_Task", ["A"]),  # seen in the look after it
        ("ReconfigVM_Task", ["A"]),  # for B
    ],
)
def test_disks_that_are_moved_in_a_restore_fail_it(site: Site, call: str, stand: list[str]) -> None:
    """Before the first such call after the segment of A was written and its disk closed.

    A snapshot that is created just then freezes the disk as it was written.
    """
    machine = make_vm(site)
    check_ok(site.backup())
    disks = {face.name: face.disks for face in machine.portrait().faces}
    machine.destroy()
    closed = len(site.lab.vddk.named("Close"))
    moved = False

    def move(_: int, method: str) -> None:
        nonlocal moved
        if method != call or moved or len(site.lab.vddk.named("Close")) == closed:
            return
        moved = True
        WaitForTask(migrate(site, site.find("web1 (incomplete restore)"), "datastore2"))

    with before_calls(site, move):
        job = site.restore(prevent_storage_vmotion="no")
    message = check_failed(job, r"were moved while the job worked on them \(Storage vMotion\)")
    assert "is now [datastore2]" in message
    left = site.find("web1 (incomplete restore)")
    assert left.snapshot_names == stand
    for face in left.portrait().faces[:-1]:
        assert face.disks == disks[face.name]


def test_a_vm_that_is_being_migrated_is_not_touched(site: Site) -> None:
    machine = site.create(disks=[MIB])
    site.lab.habits.task_seconds_of["RelocateVM_Task"] = 60  # longer than the job
    task = migrate(site, machine, "datastore2")
    job = site.backup()
    check_failed(job, r"VM web1 is being migrated \(.*relocate")
    assert machine.snapshot_names == []
    task.CancelTask()
    with pytest.raises(vmodl.fault.RequestCanceled):
        WaitForTask(task)


@pytest.mark.parametrize("merge", ["removal", "consolidate"])
def test_method_link(site: Site, merge: str) -> None:
    """What a snapshot's own file holds; not if a deleted one has left a file in between."""
    machine = site.create(disks=[MIB, 5 * 65536 + 512], cbt=False)
    site.lab.habits.merge_links = merge
    draw(machine, "A\n  B\n    C\n    (X)\n      Y\n      Z\n  D *\n")
    before = machine.portrait()
    job = site.backup(without_cbt="link", enable_cbt="no")
    assert job.status == "T", log(job)
    found = methods(job)
    assert {found[node, DISK] for node in ("B", "C", "D", "now")} == {"link"}
    assert {found[node, DISK] for node in ("Y", "Z")} == {"compare"}
    assert "not the direct parent" in reasons(job)["Y", DISK]
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait() == before
    singles = [call for call in site.lab.vddk.named("Open") if int(call.arguments["flags"]) & 2]
    assert singles


def test_a_link_that_cannot_be_opened_alone_is_compared(site: Site) -> None:
    machine = site.create(disks=[MIB], cbt=False)
    draw(machine, "A\n  B\n")
    site.lab.vddk.habits.single_link = False
    job = site.backup(without_cbt="link", enable_cbt="no")
    assert methods(job)["B", DISK] == "compare"
    assert "no link: " in reasons(job)["B", DISK]
    assert "does not support opening this disk so" in reasons(job)["B", DISK]


def test_an_allocation_map_that_says_nothing_or_fails(site: Site) -> None:
    machine = make_vm(site)
    site.lab.habits.cbt.star = "whole-disk"
    for habit in ("all", "fails"):
        site.lab.vddk.habits.reset()
        if habit == "all":
            site.lab.vddk.habits.all_allocated = True
        else:
            site.lab.vddk.habits.fail("QueryAllocatedBlocks", VixError.NOT_SUPPORTED, times=99)
        check_ok(site.backup())
        site.lab.vddk.habits.reset()
        before = machine.portrait()
        check_ok(site.restore(vmname=f"copy {habit}"))
        assert site.find(f"copy {habit}").portrait().faces == before.faces
