# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""vCenter refuses to migrate a VM while a job works on it, and does so no longer than that."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from pyVim.task import WaitForTask
from pyVmomi import vim

from bareos_vmsnap.vsphere import preflight
from vmsnap_lab.filedaemon import Cancel
from vmsnap_lab.vddk import VixError, plugin

from . import processes
from .during import During
from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
from .large_vm import make_vm
from .machine import Machine
from .migration import migrate
from .pictures import draw
from .site import Site
from .test_kills import SLOW, when_writing
from .test_secrets import PASSWORD, check_files, check_secret, use

# A segment is not read whole when its first MiB is stored.
FEW = {"requests_in_flight": "3"}

pytestmark = pytest.mark.skipif(
    plugin.find() is None, reason="nbdkit's vddk plugin is not there: scripts/setup test gets it"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose jobs go through VDDK; no job leaves a VM that is not migrated."""
    made = Site(tmp_path, vddk=True)
    yield made
    try:
        assert made.remains() == []
    finally:
        made.close()


def check_migrates(site: Site, machine: Machine) -> None:
    WaitForTask(migrate(site, machine, "datastore2"))
    assert "[datastore2]" in machine.vm.config.files.vmPathName


def wait_until(reached: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


class Tries:
    """Tries to migrate a VM in the middle of a job, and keeps who kept vCenter from it."""

    def __init__(self, site: Site, name: str = "web1") -> None:
        self._site, self._name = site, name
        self.refused_for: Optional[str] = None

    def __call__(self) -> None:
        machine = self._site.find(self._name)
        try:
            WaitForTask(migrate(self._site, machine, "datastore2"))
        except vim.fault.MethodDisabled as refused:
            self.refused_for = refused.source


def test_a_vm_is_not_migrated_while_it_is_backed_up(site: Site) -> None:
    machine = make_vm(site)
    tries = Tries(site)
    job = site.backup(cancel=During(tries, stored=MIB), **FEW)
    check_ok(job)
    assert tries.refused_for == f"bareos-vmsnap {machine.guest.moref}"
    assert "VM web1: vCenter refuses to migrate it while this job runs" in "".join(said(job))
    [prepared] = site.lab.vddk.named("PrepareForAccess")
    [ended] = site.lab.vddk.named("EndAccess")
    times = {}
    for task in site.lab.vcenter.tasks.recentTask:
        times[task.info.descriptionId] = task.info.startTime, task.info.completeTime
    assert prepared.time < times["VirtualMachine.createSnapshot"][0].timestamp()
    assert ended.time > times["vm.Snapshot.remove"][1].timestamp()
    check_migrates(site, machine)


def test_each_vm_of_a_job_in_its_turn(site: Site) -> None:
    last = make_vm(site)
    first = site.create("web0", disks=[MIB])
    held: list[bool] = []

    def look() -> None:
        held.extend(bool(m.guest.vm.migration_disabled_by) for m in (first, last))

    # There is less than that of the first.
    job = site.backup("web0", "web1", cancel=During(look, stored=3 * MIB), **FEW)
    check_ok(job)
    assert held == [False, True]


def test_a_vm_is_not_migrated_while_it_is_restored(site: Site) -> None:
    machine = make_vm(site)
    before = machine.portrait()
    check_ok(site.backup())
    machine.destroy()
    tries = Tries(site, "web1 (incomplete restore)")
    act = when_writing(site, lambda vm: tries())
    check_ok(site.restore(cancel=During(act, "plugin_io IO_OPEN", 2), rate_limit=SLOW))
    restored = site.find()
    assert tries.refused_for == f"bareos-vmsnap {restored.guest.moref}"
    assert restored.portrait() == before
    check_migrates(site, restored)


@pytest.mark.parametrize("left", ["keep", "remove"])
def test_after_a_restore_that_failed(site: Site, left: str) -> None:
    machine = make_vm(site)
    check_ok(site.backup())
    machine.destroy()
    site.lab.vddk.habits.fail("Write", VixError.HOST_TCP_CONN_LOST, nth=3)
    check_failed(site.restore(restore_on_failure=left), "was not restored: ")
    assert site.lab.vddk.named("EndAccess")[-1].error == VixError.OK
    if left == "keep":
        check_migrates(site, site.find("web1 (incomplete restore)"))
    else:
        assert site.vm_names() == []


def test_after_jobs_that_failed_or_were_canceled(site: Site) -> None:
    machine = make_vm(site)
    site.lab.vddk.habits.fail("Open", VixError.FILE_ALREADY_LOCKED, times=9)
    check_failed(site.backup(), "the disk is locked")
    assert machine.guest.vm.migration_disabled_by == []
    site.lab.vddk.habits.forgive()
    assert site.backup(cancel=Cancel(stored=MIB), **FEW).status == "A"
    assert len(site.lab.vddk.named("EndAccess")) == 2
    check_migrates(site, machine)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_file_daemon_dies(site: Site, how: int) -> None:
    machine = make_vm(site)
    job = site.backup(cancel=Cancel(stored=MIB, signal=how), **FEW)
    assert job.status == "f"
    wait_until(lambda: machine.guest.vm.migration_disabled_by == [])
    wait_until(lambda: site.holders() == [])
    site.lab.vcenter.sessions.expire_all()  # nobody could log out
    site.log_in()
    assert site.backup().status == "T"
    check_migrates(site, site.find())


def test_the_file_daemon_dies_and_nothing_cleans_up(site: Site) -> None:
    """As in a power loss: vCenter goes on refusing, until the next job."""
    make_vm(site)

    def kill_all() -> None:
        [holder] = site.holders()
        os.kill(holder, signal.SIGKILL)
        during.request()

    during = During(kill_all, stored=MIB, signal=signal.SIGKILL)
    assert site.backup(cancel=during, **FEW).status == "f"
    site.lab.vcenter.sessions.expire_all()
    site.log_in()
    time.sleep(1)
    with pytest.raises(vim.fault.MethodDisabled):
        migrate(site, site.find(), "datastore2")
    assert site.lab.vddk.named("EndAccess") == []
    job = site.backup()
    assert job.status == "T"
    assert "a job that died had left it so" in "".join(said(job, "M_INFO"))
    assert [call.error for call in site.lab.vddk.named("EndAccess")] == [VixError.OK] * 2
    check_migrates(site, site.find())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_its_process_dies_in_the_middle(site: Site, how: int) -> None:
    """By SIGTERM it cleans up itself, as when systemd ends all processes; else the job has it done."""
    machine = make_vm(site)
    seen: list[list[str]] = []

    def kill() -> None:
        [holder] = site.holders()
        os.kill(holder, how)
        wait_until(lambda: site.holders() == [])
        seen.append(list(machine.guest.vm.migration_disabled_by))

    job = site.backup(cancel=During(kill, stored=MIB), **FEW)
    check_ok(job)
    assert bool(seen[0]) == (how == signal.SIGKILL)
    check_migrates(site, machine)


@pytest.mark.parametrize(("one_holder", "tells"), [(True, True), (True, False), (False, True)])
def test_somebody_else_holds_it(site: Site, one_holder: bool, tells: bool) -> None:
    """What is not ours stays; the VM is not migrated anyway."""
    machine = make_vm(site)
    habits = site.lab.vddk.habits
    habits.one_holder, habits.tells_already_disabled = one_holder, tells
    machine.guest.vm.migration_disabled_by.append("Another backup")
    tries = Tries(site)
    job = site.backup(cancel=During(tries, stored=MIB), prevent_storage_vmotion="yes", **FEW)
    check_ok(job)
    assert tries.refused_for == "Another backup"
    message = "vCenter refuses to migrate it already, on behalf of another program"
    assert (message in "".join(said(job, "M_INFO"))) == one_holder
    assert machine.guest.vm.migration_disabled_by == ["Another backup"]
    machine.guest.vm.migration_disabled_by.clear()


def test_a_vddk_without_the_calls(site: Site) -> None:
    machine = make_vm(site)
    site.lab.vddk.leave_access_out()
    job = site.backup()
    check_ok(job)
    message = "this VDDK has no PrepareForAccess: Storage vMotion is not prevented, but detected"
    assert message in "".join(said(job, "M_INFO"))
    check_failed(
        site.backup(prevent_storage_vmotion="yes"),
        "Storage vMotion of VM web1 cannot be prevented, .*: this VDDK has no PrepareForAccess. "
        "What to do: Set prevent_storage_vmotion=auto or no",
    )
    assert machine.snapshot_names == ["A", "B"]
    machine.destroy()
    failed = site.restore(prevent_storage_vmotion="yes", restore_on_failure="remove")
    check_failed(failed, "Storage vMotion of VM web1.* cannot be prevented, ")
    assert site.vm_names() == []
    check_ok(site.restore())


def test_nothing_is_done_where_it_is_not_wanted(site: Site) -> None:
    draw(site.create(disks=[MIB]), "A\n")
    job = site.backup(prevent_storage_vmotion="no")
    check_ok(job)
    assert site.lab.vddk.named("PrepareForAccess") == []
    assert "migrate" not in log(job)


def test_a_user_who_lacks_the_privileges(site: Site) -> None:
    machine = site.create(disks=[MIB])
    granted = [
        *preflight.PRIVILEGES,
        preflight.MARKER_PRIVILEGE,
        *preflight.DATASTORE_PRIVILEGES,
        "Global.DisableMethods",
    ]
    site.lab.vcenter.add_user("backup", site.lab.password, granted)
    user: dict[str, Any] = {"vcuser": "backup", "enable_cbt": "no"}

    def warnings(**options: Any) -> list[str]:
        job = site.backup(**user, **options)
        assert job.status == "T", log(job)
        return [text for text in said(job, "M_WARNING") if "block tracking" not in text]

    [warning] = warnings()
    lacking = "the user lacks the privileges Global.EnableMethods, Global.Licenses. Grant the user"
    assert lacking in warning
    assert "prevent_storage_vmotion=no" in warning
    assert warnings(prevent_storage_vmotion="no") == []
    check_failed(site.backup(**user, prevent_storage_vmotion="yes"), re.escape(lacking[:-15]))
    assert machine.snapshot_names == []
    # It could not have been undone.
    assert site.lab.vddk.named("PrepareForAccess") == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (VixError.HOST_USER_PERMISSIONS, "lacks a privilege .Global.DisableMethods, "),
        (VixError.CANNOT_CONNECT_TO_HOST, "cannot be reached"),
        (VixError.FAIL, r"VixDiskLib_PrepareForAccess: Unknown error \(1\)"),
    ],
)
def test_a_call_that_fails(site: Site, error: VixError, message: str) -> None:
    machine = site.create(disks=[MIB])
    site.lab.vddk.habits.fail("PrepareForAccess", error, times=2)
    job = site.backup()
    assert job.status == "T"
    [warning] = said(job, "M_WARNING")
    assert re.search(f"cannot be prevented while the job runs, only detected: .*{message}", warning)
    check_failed(
        site.backup(prevent_storage_vmotion="yes"), f"cannot be prevented, .*: .*{message}"
    )
    assert machine.snapshot_names == []


def test_an_end_that_fails_is_tried_again(site: Site) -> None:
    machine = site.create(disks=[MIB])
    site.lab.vddk.habits.fail("EndAccess", VixError.CANNOT_CONNECT_TO_HOST, times=2)
    check_ok(site.backup())
    site.lab.vddk.habits.fail("EndAccess", VixError.CANNOT_CONNECT_TO_HOST, times=99)
    job = site.backup()
    site.lab.vddk.habits.forgive()
    [warning] = said(job, "M_WARNING")
    identity = f"bareos-vmsnap {machine.guest.moref}"
    assert f"vCenter may still refuse to migrate it, on behalf of '{identity}': " in warning
    assert "cannot be reached" in warning
    assert machine.guest.vm.migration_disabled_by == [identity]
    check_ok(site.backup())


def test_a_call_that_hangs_does_not_keep_a_job_from_being_canceled(site: Site) -> None:
    machine = site.create(disks=[MIB])
    site.lab.vddk.habits.prepare_delay = 8
    cancel = Cancel()

    def when_it_hangs() -> None:
        wait_until(lambda: bool(site.lab.vddk.named("PrepareForAccess")))
        cancel.request()

    thread = threading.Thread(target=when_it_hangs)
    thread.start()
    job = site.backup(cancel=cancel)
    thread.join()
    assert job.status == "A", log(job)
    assert machine.snapshot_names == []
    [ended] = site.lab.vddk.named("EndAccess")
    assert ended.error == VixError.OK


def test_the_password_is_seen_nowhere(site: Site) -> None:
    make_vm(site)
    use(site, PASSWORD)
    seen: list[int] = []

    def look() -> None:
        [holder] = site.holders()
        for what in ("cmdline", "environ"):
            check_secret(processes.read(holder, what), what)
        environment = processes.read(holder, "environ").decode()
        folder = re.findall("TMPDIR=([^\0]*)", environment)[0]
        check_files(Path(folder))
        assert processes.read(holder, "comm") == b"vmsnap-block\n"
        seen.append(holder)

    job = site.backup(cancel=During(look, stored=MIB), vddk_log="debug", **FEW)
    check_ok(job)
    assert seen
    check_secret(log(job).encode(), "the job log")
    [kept] = (site.directory / "bareos" / "working" / "bareos-vmsnap-log").glob("*.log")
    assert "VixDiskLib_PrepareForAccess: moref=" in kept.read_text()
    check_files(site.directory / "bareos", site.temporary)


@pytest.mark.parametrize("flavour", ["vcenter", "esxi"])
def test_where_it_is_impossible(tmp_path: Path, flavour: str) -> None:
    """From an NBD server, and on a single host."""
    made = Site(tmp_path, vddk=flavour == "esxi", flavour=flavour)
    where: dict[str, Any] = {"dc": "ha-datacenter"} if flavour == "esxi" else {}
    try:
        machine = made.create(disks=[MIB])
        check_failed(
            made.backup(prevent_storage_vmotion="yes", **where),
            "it takes a vCenter, and disks reached through VDDK",
        )
        assert machine.snapshot_names == []
        check_ok(made.backup(**where))
    finally:
        made.close()
