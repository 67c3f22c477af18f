# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vCenter fails in the middle: what can go on goes on, the rest is reported and cleaned up."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap.vsphere import markers

from .conftest import Saved
from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, methods, said
from .machine import Machine
from .pictures import draw
from .site import Site

FAST: dict[str, Any] = {"snapshot_retry_wait": "0"}


def quiesce_fault() -> Any:
    return vim.fault.ApplicationQuiesceFault(msg="The guest's writers did not answer in time.")


def check_saved(site: Site, machine: Machine) -> None:
    """The newest backup holds what the VM holds."""
    before = machine.portrait()
    machine.destroy()
    check_ok(site.restore())
    assert site.find().portrait().faces == before.faces


def test_a_guest_that_quiesces_at_last(site: Site) -> None:
    machine = site.create(disks=[MIB], powered_on=True)
    site.lab.habits.quiesce_faults = [quiesce_fault(), quiesce_fault()]
    job = site.backup(**FAST)
    assert job.status == "T"
    first, second = said(job, "M_WARNING")
    assert "writers did not answer in time" in first
    assert "Trying again in 0 s (1 of 3)" in first
    assert "(2 of 3)" in second
    assert machine.snapshot_names == []


def test_a_snapshot_that_is_reported_as_failed_and_exists(site: Site) -> None:
    """It is neither left nor saved as a user's."""
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("mine")
    machine.scribble("b")
    site.lab.habits.fail("CreateSnapshot_Task", quiesce_fault(), after=True)
    job = site.backup(**FAST)
    assert job.status == "T"
    assert {node for node, _ in methods(job)} == {"mine", "now"}
    assert machine.snapshot_names == ["mine"]
    check_saved(site, machine)


def test_a_guest_that_never_quiesces(site: Site) -> None:
    machine = site.create(disks=[MIB], powered_on=True)
    site.lab.habits.quiesce_faults = [quiesce_fault() for _ in range(9)]
    job = site.backup(snapshot_retries="2", **FAST)
    check_failed(job, "Taking the snapshot 'vmsnap backup .*' of VM web1 failed: ApplicationQui")
    assert len(said(job, "M_WARNING")) == 2
    assert machine.snapshot_names == []
    check_ok(site.backup(quiesce="no"))


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (vim.fault.NoDiskSpace(file="[datastore1] x", datastore="datastore1", msg="No space"), 1),
        (vim.fault.SnapshotFault(msg="An error occurred while taking a snapshot"), 3),
    ],
    ids=["lasting", "passing"],
)
@pytest.mark.parametrize("after", [False, True], ids=["not taken", "taken"])
def test_the_backup_snapshot_fails(site: Site, fault: Any, tries: int, after: bool) -> None:
    """Even a snapshot that was taken although the task failed is deleted."""
    machine = site.create(disks=[MIB])
    site.lab.habits.fail("CreateSnapshot_Task", fault, times=9, after=after)
    job = site.backup(snapshot_retries="2", **FAST)
    check_failed(job, f"Taking the snapshot .* failed: {type(fault).__name__.rsplit('.', 1)[-1]}")
    assert len(said(job, "M_WARNING")) == tries - 1
    assert machine.snapshot_names == []


def test_the_backup_snapshot_cannot_be_deleted(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.snapshot("mine")
    machine.scribble("a")
    locked = vim.fault.FileLocked(file="[datastore1] web1/web1-000001.vmdk", msg="It is locked")
    site.lab.habits.fail("RemoveSnapshot_Task", locked, times=9)
    job = site.backup()
    assert job.status == "W"
    (message,) = said(job, "M_ERROR")
    assert "could not be deleted: Deleting the snapshot" in message
    assert "It is locked" in message
    assert "The next job of this VM will delete it" in message
    assert machine.snapshot_names == ["mine", f"vmsnap backup {job.name}"]

    site.lab.habits.forgive()
    following = site.backup()
    assert following.status == "T"
    assert said(following, "M_WARNING") == [
        f"VM web1: deleting the backup snapshot that job {job.name} left behind [leftover-deleted]"
    ]
    assert machine.snapshot_names == ["mine"]
    check_saved(site, machine)


OTHER = markers.FileDaemon("proxy2", "0123456789abcdef")


@pytest.mark.parametrize(("failures", "left"), [(2, 1), (3, 2)])
def test_a_snapshot_that_cannot_be_deleted_keeps_no_other(
    site: Site, failures: int, left: int
) -> None:
    """The job has two: one that was reported as failed, which cannot be deleted at first, and the
    one that was taken then.
    """
    machine = site.create(disks=[MIB])
    fault = vim.fault.FileLocked(msg="Unable to access file since it is locked")
    site.lab.habits.fail("CreateSnapshot_Task", quiesce_fault(), after=True)
    site.lab.habits.fail("RemoveSnapshot_Task", fault, times=failures)
    job = site.backup(**FAST)
    check_failed(job, "Deleting the snapshot 'vmsnap backup .*' of VM web1 failed: FileLocked")
    errors = [text for text in said(job, "M_ERROR") if "[backup-snapshot-left" in text]
    assert ["Another backup snapshot" in text for text in errors] == [False, True][:left]
    assert len(machine.snapshot_names) == left
    assert site.backup().status == "T"
    assert machine.snapshot_names == []


def test_a_leftover_of_another_file_daemon(site: Site) -> None:
    machine = site.create(disks=[MIB])
    name = markers.backup_name("other-job.2026-11-21_01.00.00_07")
    machine.snapshot(name, markers.backup_description(OTHER))
    machine.snapshot("vmsnap backup of mine", "a user's snapshot that only looks like ours")
    message = check_failed(site.backup(), "backup snapshot of job other-job.2026-11-21_01.00.00_07")
    assert "taken by the file daemon 0123456789abcdef on proxy2" in message
    assert "remove_leftovers=all" in message
    assert machine.snapshot_names == [name, "vmsnap backup of mine"]

    job = site.backup(remove_leftovers="all")
    assert job.status == "T"
    assert machine.snapshot_names == ["vmsnap backup of mine"]
    machine.remove(machine.roots[0].snapshot)


def test_two_jobs_of_a_vm_at_once(site: Site) -> None:
    machine = site.create(disks=[8 * MIB])
    machine.guest.write(2000, 0, random.Random(1).randbytes(8 * MIB))
    second: list[Any] = []
    during = During(lambda: second.append(site.backup()), stored=1)
    check_ok(site.backup(cancel=during))
    message = check_failed(second[0], "Another job of this file daemon is backing up VM web1")
    assert "the VM was not touched" in message
    assert machine.snapshot_names == []


def test_the_session_expires_again_and_again(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n  C *\n")
    machine.guest.write_nvram(b"x" * 99)
    before = machine.portrait()
    site.lab.habits.session_calls = 25
    check_ok(site.backup())
    site.lab.habits.session_calls = None
    site.log_in()
    site.find().destroy()
    site.lab.habits.session_calls = 25
    check_ok(site.restore())
    site.lab.habits.session_calls = None
    site.log_in()
    assert site.find().portrait() == before


def test_connections_that_break_once(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("s")
    for method in (
        "RetrieveServiceContent",
        "FindByInventoryPath",
        "HasPrivilegeOnEntities",
        "QueryChangedDiskAreas",
    ):
        site.lab.habits.fail(method, ConnectionError())
    check_ok(site.backup())
    assert machine.snapshot_names == ["s"]


def test_a_snapshot_request_whose_answer_is_lost(site: Site) -> None:
    """It may have been taken, and the request is sent again: both are deleted."""
    machine = site.create(disks=[MIB])
    site.lab.habits.fail("CreateSnapshot_Task", ConnectionError(), after=True)
    site.backup()
    assert machine.snapshot_names == []


def fail_after(site: Site, method: str, fault: Any, times: int = 1) -> list[str]:
    """Answer the next questions of jobs for a task's state, after `method` has started one, with
    the fault. The list is of those.
    """
    mine = {session.key for session in site.lab.vcenter.sessions.sessionList}
    met: list[str] = []
    begun = False

    def hook(called: str, session: Any) -> None:
        nonlocal begun
        if session is None or session.key in mine:
            return
        if begun and called == "Fetch" and len(met) < times:
            met.append(called)
            raise fault
        begun = begun or called == method

    site.lab.habits.before_call = hook
    return met


@pytest.mark.parametrize("fault", [vmodl.fault.HostCommunication(), vmodl.RuntimeFault()])
@pytest.mark.parametrize("method", ["CreateSnapshot_Task", "RemoveSnapshot_Task"])
def test_a_fault_while_a_task_of_the_backup_snapshot_runs(
    site: Site, method: str, fault: Any
) -> None:
    """It says nothing of the task, which goes on."""
    machine = site.create(disks=[MIB])
    machine.snapshot("mine")
    site.lab.habits.task_seconds_of = {method: 1.0}
    met = fail_after(site, method, fault, 3)
    check_ok(site.backup())
    assert len(met) == 3
    assert machine.snapshot_names == ["mine"]


def test_vcenter_is_gone_in_the_middle_of_a_backup(site: Site) -> None:
    machine = site.create(disks=[MIB, MIB])
    machine.scribble("a")
    machine.snapshot("mine")
    machine.scribble("b")
    gone = During(site.lab.server.stop, "plugin_io IO_OPEN")
    job = site.backup(cancel=gone)
    message = check_failed(job, f"{site.lab.host}:{site.lab.port} cannot be reached")
    assert "refused" in message
    (left,) = said(job, "M_ERROR")
    assert f"The backup snapshot 'vmsnap backup {job.name}' of VM web1 could not be deleted" in left
    site.lab.server.start()
    site.lab.vcenter.sessions.expire_all()  # one of them nobody could end
    site.log_in()
    assert len(site.find().snapshot_names) == 2
    assert site.backup().status == "T"
    assert site.find().snapshot_names == ["mine"]


def test_vcenter_is_gone_in_the_middle_of_a_restore(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n")
    check_ok(site.backup())
    machine.destroy()
    gone = During(site.lab.server.stop, "plugin_io IO_OPEN", 3)
    job = site.restore(cancel=gone)
    check_failed(job, f"{site.lab.host}:{site.lab.port} cannot be reached")
    (left,) = said(job, "M_ERROR")
    assert "Left behind: the incomplete VM web1 (incomplete restore) (vm-" in left
    site.lab.server.start()
    site.lab.vcenter.sessions.expire_all()
    site.log_in()
    assert site.vm_names() == ["web1 (incomplete restore)"]


def test_steps_of_a_restore_that_fail(saved: Saved) -> None:
    site = saved.site
    fault = vim.fault.GenericVmConfigFault(reason="because", msg="No, because of the test")
    for method, nth, message in (
        ("CreateVM_Task", 1, "Creating VM copy failed"),
        ("ReconfigVM_Task", 1, "Reconfiguring VM copy for s0002-B failed"),
        ("CreateSnapshot_Task", 2, "Creating snapshot 'B' of VM copy failed"),
        ("RevertToSnapshot_Task", 1, "Reverting VM copy to s0001-A failed"),
        ("Rename_Task", 1, "Giving VM copy its name failed"),
    ):
        site.lab.habits.fail(method, fault, nth=nth)
        job = saved.restore(vmname="copy", restore_on_failure="remove")
        check_failed(job, f"{message}: GenericVmConfigFault: No, because of the test")
        assert "Left behind: nothing" in said(job, "M_ERROR")[-1]
        assert site.vm_names() == ["web1"]


def test_requests_of_a_restore_whose_answers_are_lost(saved: Saved) -> None:
    """They are sent again. The VM comes back as it was, or it can be seen that it did not."""
    site = saved.site
    for method in (
        "CreateVM_Task",
        "CreateSnapshot_Task",
        "RevertToSnapshot_Task",
        "ReconfigVM_Task",
        "Rename_Task",
    ):
        site.lab.habits.fail(method, ConnectionError(), after=True)
        job = saved.restore(vmname="copy")
        if job.status == "T":
            assert site.vm_names() == ["copy", "web1"]
            assert site.find("copy").portrait().faces == saved.before.faces
            site.find("copy").destroy()
        else:
            check_failed(job, method)
            assert site.vm_names() == ["copy (incomplete restore)", "web1"]
            site.find("copy (incomplete restore)").destroy()


@pytest.mark.parametrize(
    "method", ["CreateVM_Task", "CreateSnapshot_Task", "RevertToSnapshot_Task", "Rename_Task"]
)
def test_a_fault_while_a_task_of_a_restore_runs(saved: Saved, method: str) -> None:
    """It says nothing of the task, which goes on."""
    saved.site.lab.habits.task_seconds_of = {method: 0.5}
    met = fail_after(saved.site, method, vmodl.fault.HostCommunication(), 2)
    job = saved.restore(vmname="copy")
    saved.site.lab.habits.before_call = None
    saved.site.lab.habits.task_seconds_of = {}
    check_ok(job)
    assert len(met) == 2
    assert saved.site.find("copy").portrait().faces == saved.before.faces


def forget_task(site: Site, method: str) -> None:
    """Answer the first question for the state of the task as a vCenter does that was restarted."""
    fault = vmodl.fault.ManagedObjectNotFound(obj=vim.Task("task-1"), msg="Not found")
    fail_after(site, method, fault)


@pytest.mark.parametrize("on_failure", ["keep", "remove"])
def test_a_vm_whose_creation_is_not_seen_to_end(saved: Saved, on_failure: str) -> None:
    """It comes while the job is cleaning up, never bears its final name, and is not denied."""
    site = saved.site
    site.lab.habits.task_seconds_of = {"CreateVM_Task": 2.0}
    forget_task(site, "CreateVM_Task")
    job = saved.restore(vmname="copy", restore_on_failure=on_failure)
    site.lab.habits.before_call = None
    site.lab.habits.task_seconds_of = {}
    check_failed(job, "Creating VM copy: vSphere does not tell how that ended")
    left = said(job, "M_ERROR")[-1]
    if on_failure == "keep":
        assert "Left behind: the incomplete VM copy (incomplete restore) (vm-" in left
        assert site.vm_names() == ["copy (incomplete restore)", "web1"]
    else:
        assert "Left behind: nothing, the incomplete VM was destroyed" in left
        assert site.vm_names() == ["web1"]


def test_a_vm_of_which_nothing_can_be_known(saved: Saved) -> None:
    """The task is forgotten for good, and it still runs."""
    site = saved.site
    site.lab.habits.task_seconds_of = {"CreateVM_Task": 6.0}
    fault = vmodl.fault.ManagedObjectNotFound(obj=vim.Task("task-1"), msg="Not found")
    fail_after(site, "CreateVM_Task", fault, 2)
    job = saved.restore(vmname="copy", restore_on_failure="remove")
    site.lab.habits.before_call = None
    site.lab.habits.task_seconds_of = {}
    check_failed(job, "Creating VM copy: vSphere does not tell how that ended")
    left = said(job, "M_ERROR")[-1]
    assert "Left behind: perhaps the empty VM copy (incomplete restore): whether it was" in left
    deadline = time.monotonic() + 30
    while site.vm_names() == ["web1"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert site.vm_names() == ["copy (incomplete restore)", "web1"]


def test_an_incomplete_vm_is_not_backed_up(site: Site) -> None:
    """It has the UUID of the VM that is gone, whose chain of backups must not go on with it."""
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("A")
    uuid = machine.vm.config.instanceUuid
    named: dict[str, Any] = {"vmname": None, "dc": None, "uuid": uuid}
    check_ok(site.backup(**named))
    before = machine.portrait()
    machine.destroy()
    site.lab.habits.fail("CreateSnapshot_Task", vim.fault.GenericVmConfigFault(reason="no"))
    check_failed(site.restore(), "Creating snapshot 'A' of VM web1 failed")
    left = site.find("web1 (incomplete restore)")
    assert left.vm.config.instanceUuid == uuid

    job = site.backup(level="Incremental", **named)
    message = check_failed(job, "VM web1 .incomplete restore. is the rest of a restore")
    assert "[vm-incomplete]" in message
    assert "give it another name" in message
    assert left.snapshot_names == []
    left.rename("mended")
    assert site.backup(level="Incremental", **named).status == "T"

    left.destroy()
    check_ok(site.restore([1]))
    assert site.find().portrait().faces == before.faces


def test_a_restored_vm_that_is_reverted_is_backed_up(saved: Saved) -> None:
    """The revert brings the restore's mark back into the VM, which is complete."""
    check_ok(saved.restore(vmname="copy"))
    copy = saved.site.find("copy")
    copy.revert(copy.roots[0].snapshot)
    check_ok(saved.site.backup("copy"))


def test_a_rename_that_is_not_seen_to_end(saved: Saved) -> None:
    """What has come back is called by the name that the job log tells."""
    site = saved.site
    site.lab.habits.task_seconds_of = {"Rename_Task": 1.0}
    forget_task(site, "Rename_Task")
    job = saved.restore(vmname="copy")
    site.lab.habits.before_call = None
    site.lab.habits.task_seconds_of = {}
    check_failed(job, "Giving VM copy its name: vSphere does not tell how that ended")
    assert "the incomplete VM copy (incomplete restore) (vm-" in said(job, "M_ERROR")[-1]
    assert site.vm_names() == ["copy (incomplete restore)", "web1"]


def test_somebody_takes_a_snapshot_of_a_vm_being_restored(site: Site) -> None:
    machine = site.create(disks=[MIB])
    draw(machine, "A\n  B\n")
    check_ok(site.backup())
    machine.destroy()

    def interfere() -> None:
        taken = False
        while not taken:
            with site.paused():
                if not site.open_disks():  # between two segments
                    taken = bool(site.find("web1 (incomplete restore)").snapshot("nightly"))

    job = site.restore(cancel=During(interfere, "plugin_io IO_CLOSE", 2))
    check_failed(job, "Somebody took a snapshot 'nightly' of VM web1 while it was being restored")
    assert site.vm_names() == ["web1 (incomplete restore)"]


def test_a_full_datastore(site: Site) -> None:
    machine = site.create(disks=[MIB])
    site.lab.habits.full_datastores = {"datastore1"}
    check_failed(
        site.backup(snapshot_retries="0"), "Taking the snapshot .* NoDiskSpace.*datastore1"
    )
    site.lab.habits.full_datastores = set()
    check_ok(site.backup())
    machine.destroy()
    site.lab.habits.full_datastores = {"datastore1"}
    check_failed(site.restore(), "Creating VM web1 failed: NoDiskSpace")
    assert site.vm_names() == []


def test_a_vm_that_cannot_be_powered_on(site: Site) -> None:
    machine = site.create(disks=[MIB])
    check_ok(site.backup())
    machine.destroy()
    fault = vmodl.fault.SystemError(reason="no host", msg="No host is suitable")
    site.lab.habits.fail("PowerOnVM_Task", fault)
    job = site.restore(restore_powerstate="on")
    assert job.status == "T"  # Bareos has counted the warnings by then
    (warning,) = said(job, "M_WARNING")
    assert "the VM is restored but off" in warning
    assert "No host is suitable" in warning
    assert site.find().vm.runtime.powerState == "poweredOff"
