# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""An Incremental builds on the previous job's state only if that is an ancestor of today's.

Nothing but two witnesses says so: the marker in the VM's configuration, and the event history.
The bytes that a restore must bring are read from the lab's store just before a job, while the VM is
off.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from bareos_vmsnap.tree import manifest, model, restore_objects
from bareos_vmsnap.vsphere import markers, preflight
from vmsnap_lab.filedaemon import JobResult
from vmsnap_lab.vcenter.snapshots import create, revert
from vmsnap_lab.vcenter.vm import reconfiguration

from .hardware import MIB
from .joblog import check_ok, log, reasons, said
from .machine import Machine, find_snapshot
from .site import Site

DISK = "scsi0-0"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Site]:
    """A site with a single ESXi host and no vCenter."""
    made = Site(tmp_path, flavour="esxi")
    yield made
    try:
        assert made.remains() == []
    finally:
        made.close()


def remembers(job: JobResult) -> bool:
    """Whether the job based the VM's state on that of the previous job."""
    assert job.status == "T", log(job)
    return "remembered from" in reasons(job)["now", DISK]


def two_reverts(machine: Machine, snapshot: Any) -> None:
    """After two reverts the leaf's file has its old name again: nothing of the disk tells of them."""
    for lap in ("first", "second"):
        machine.revert(snapshot)
        machine.scribble(lap)


def check_restores(site: Site, machine: Machine, **options: Any) -> None:
    """The newest backup brings back the bytes that the store has."""
    before = machine.portrait()
    machine.destroy()
    restored = site.restore(**options)
    assert restored.status == "T", log(restored)
    assert site.find().portrait().faces == before.faces


def test_reverts_on_a_host_that_lost_its_events_and_counts_anew(host: Site) -> None:
    machine = host.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    snapshot = machine.snapshot("A")
    machine.scribble("b", pieces=9)
    first = host.backup(dc="ha-datacenter")
    assert first.status == "T", log(first)
    then = host.lab.vcenter.events.next_key
    two_reverts(machine, snapshot)
    host.lab.vcenter.events.lose()
    while host.lab.vcenter.events.next_key <= then:
        machine.reconfigure(annotation=f"{host.lab.vcenter.events.next_key}")
    again = host.backup(level="Incremental", dc="ha-datacenter")
    check_restores(host, machine)
    assert not remembers(again)


def test_reverts_on_a_host_whose_events_have_no_chains(host: Site) -> None:
    host.lab.habits.chain_zero = True
    machine = host.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    snapshot = machine.snapshot("A")
    machine.scribble("b", pieces=9)
    assert host.backup(dc="ha-datacenter").status == "T"
    two_reverts(machine, snapshot)
    host.lab.vcenter.events.lose()
    job = host.backup(level="Incremental", dc="ha-datacenter")
    check_restores(host, machine)
    assert not remembers(job)


@pytest.mark.parametrize(
    ("habit", "value"),
    [("silent_reverts", True), ("revert_restores_options", False)],
    ids=["no event", "the marker stays"],
)
def test_reverts_that_one_of_two_witnesses_misses(site: Site, habit: str, value: bool) -> None:
    assert getattr(site.lab.habits, habit) is not value
    setattr(site.lab.habits, habit, value)
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    snapshot = machine.snapshot("A")
    machine.scribble("b", pieces=9)
    check_ok(site.backup())
    two_reverts(machine, snapshot)
    job = site.backup(level="Incremental")
    check_ok(job)
    check_restores(site, machine)
    assert not remembers(job)


def test_a_vm_that_reverts_when_it_is_switched_off(site: Site) -> None:
    site.lab.habits.power_off_reverts = True
    machine = site.create(disks=[2 * MIB])
    machine.reconfigure(flags=vim.vm.FlagInfo(snapshotPowerOffBehavior="revert"))
    machine.scribble("a", pieces=9)
    machine.snapshot("A")
    machine.scribble("b", pieces=9)
    check_ok(site.backup())
    for lap in ("first", "second"):
        machine.guest.power_on()
        machine.switch_off()
        machine.scribble(lap)
    job = site.backup(level="Incremental")
    check_restores(site, machine)
    assert not remembers(job)


# The life of the marker


def markers_of(config: Any) -> list[str]:
    """The markers in a configuration, the newest first."""
    values = [o.value for o in config.extraConfig if o.key == "bareos-vmsnap.backup"]
    return values[0].split() if values else []


def point_of(site: Site, job: JobResult) -> model.TimePoint:
    """The job's time point, in the manifest that Bareos got as restore objects."""
    pieces = restore_objects.Pieces()
    for found in site.daemon.restore_objects(job.jobid):
        pieces.add(found.data)
    (name,) = pieces.names()
    tree = pieces.manifest(name)
    assert "bareos-vmsnap.backup" not in manifest.to_json(tree).decode()
    return tree.point


def test_every_job_adds_its_marker_and_finds_those_before(site: Site) -> None:
    machine = site.create(disks=[2 * MIB])
    machine.snapshot("A")
    machine.scribble("b")
    full = site.backup()
    first = point_of(site, full).marker
    assert markers_of(machine.vm.config) == [first]
    # A job that fails has left its marker too.
    site.lab.habits.fail("CreateSnapshot_Task", vmodl.fault.SystemError(reason="no"), times=9)
    assert site.backup(level="Incremental", snapshot_retries="0").status == "f"
    site.lab.habits.forgive()
    machine.scribble("c")
    machine.snapshot("B")
    machine.scribble("d")
    for level in ("Incremental", "Incremental", "Differential"):
        machine.scribble(level)
        job = site.backup(level=level)
        check_ok(job)
        node = "B" if job.jobid == 3 or level == "Differential" else "now"
        assert "remembered from" in reasons(job)[node, DISK]
        assert markers_of(machine.vm.config)[0] == point_of(site, job).marker
        assert markers_of(machine.vm.config)[-1] == first
    assert len(markers_of(machine.vm.config)) == 5
    before = machine.portrait()
    b = find_snapshot(machine, "B")
    assert b is not None and first in markers_of(b.config)
    machine.destroy()
    check_ok(site.restore())
    restored = site.find()
    assert restored.portrait() == before
    for name in ("A", "B"):
        snapshot = find_snapshot(restored, name)
        assert snapshot is not None and markers_of(snapshot.config) == []
    assert markers_of(restored.vm.config) == []


def test_the_marker_that_a_job_builds_on_is_not_forgotten(site: Site) -> None:
    """However many jobs of other chains came since."""
    machine = site.create(disks=[2 * MIB])
    machine.snapshot("A")
    check_ok(site.backup())
    (marker,) = markers_of(machine.vm.config)
    others = [f"{number:012x}" for number in range(markers.KEPT - 1)]
    key = "bareos-vmsnap.backup"
    value = vim.option.OptionValue(key=key, value=" ".join([*others, marker]))
    machine.reconfigure(extraConfig=[value])
    for level in ("Incremental", "Differential", "Differential"):
        machine.scribble(level)
        assert remembers(site.backup(level=level))
        assert len(markers_of(machine.vm.config)) == markers.KEPT
    check_restores(site, machine)


def test_a_revert_to_what_came_after_the_backup(site: Site) -> None:
    """It does no harm, as the snapshot has the marker; the events are enough to be careful."""
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a")
    check_ok(site.backup())
    machine.scribble("b")
    later = machine.snapshot("B")
    machine.scribble("c")
    two_reverts(machine, later)
    site.lab.habits.silent_reverts = True
    job = site.backup(level="Incremental")
    check_restores(site, machine)
    assert "reverted to" in log(job)


def test_without_the_privilege_a_vcenters_events_do(site: Site) -> None:
    granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES]
    site.lab.vcenter.add_user("backup", site.lab.password, granted)
    machine = site.create(disks=[2 * MIB])
    machine.snapshot("A")

    def next_job(user: str, **options: Any) -> JobResult:
        machine.scribble("more")
        job = site.backup(level="Incremental", vcuser=user, **options)
        assert job.status == "T", log(job)
        lacks = [text for text in said(job, "M_WARNING") if "[marker-privilege]" in text]
        assert len(lacks) == (user == "backup")
        assert all("lacks the privilege VirtualMachine.Config.AdvancedConfig" in t for t in lacks)
        return job

    assert site.backup(vcuser="backup").status == "T"
    assert markers_of(machine.vm.config) == []
    assert remembers(next_job("backup"))
    required = next_job("backup", require_marker="yes")
    assert not remembers(required)
    assert "require_marker=yes" in log(required)
    # From the job without a marker to the first that leaves one, the events do as well.
    assert remembers(next_job(site.lab.user, require_marker="no"))
    assert remembers(next_job(site.lab.user, require_marker="yes"))
    # Nor is a marker lost with the privilege: it is still there to be found.
    assert remembers(next_job("backup", require_marker="yes"))
    machine.reconfigure(flags=vim.vm.FlagInfo(snapshotPowerOffBehavior="revert"))
    careful = next_job("backup")
    assert not remembers(careful)
    assert "may revert to its snapshot when it is switched off" in log(careful)
    check_restores(site, machine, vcuser=site.lab.user)


def test_reverts_that_a_clock_dates_before_the_backup(site: Site) -> None:
    """vCenter's clock was hours ahead at the backup, was mended, and has come that far again."""
    granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES]
    site.lab.vcenter.add_user("backup", site.lab.password, granted)
    vcenter = site.lab.vcenter
    now = vcenter.clock
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    snapshot = machine.snapshot("A")
    machine.scribble("b", pieces=9)
    vcenter.clock = lambda: now() + timedelta(hours=5)
    assert site.backup(vcuser="backup").status == "T"
    vcenter.clock = now
    two_reverts(machine, snapshot)
    vcenter.clock = lambda: now() + timedelta(hours=5, minutes=10)
    job = site.backup(level="Incremental", vcuser="backup")
    check_restores(site, machine, vcuser=site.lab.user)
    assert not remembers(job)
    assert "a snapshot was reverted to" in log(job)


def test_without_the_privilege_on_a_host(host: Site) -> None:
    granted = [*preflight.PRIVILEGES, *preflight.DATASTORE_PRIVILEGES]
    host.lab.vcenter.add_user("backup", host.lab.password, granted)
    machine = host.create(disks=[2 * MIB])
    machine.snapshot("A")
    options: dict[str, Any] = {"dc": "ha-datacenter", "vcuser": "backup"}
    assert host.backup(**options).status == "T"
    machine.scribble("b")
    job = host.backup(level="Incremental", **options)
    assert not remembers(job)
    assert "[marker-privilege]" in said(job, "M_WARNING")[0]
    assert "a single host may lose it" in log(job)
    check_restores(host, machine, vcuser=host.lab.user)


def test_with_both_witnesses_on_a_host(host: Site) -> None:
    machine = host.create(disks=[2 * MIB])
    machine.snapshot("A")
    check_ok(host.backup(dc="ha-datacenter"))
    machine.scribble("b")
    job = host.backup(level="Incremental", dc="ha-datacenter")
    check_ok(job)
    assert remembers(job)
    check_restores(host, machine)


def test_a_task_in_the_way_of_the_marker(site: Site) -> None:
    machine = site.create(disks=[2 * MIB])
    machine.snapshot("A")
    busy = vim.fault.TaskInProgress(task=vim.Task("task-1"), msg="The operation is not allowed")
    site.lab.habits.fail("ReconfigVM_Task", busy, times=2)
    first = site.backup(snapshot_retry_wait="0")
    check_ok(first)
    assert markers_of(machine.vm.config) == [point_of(site, first).marker]
    site.lab.habits.fail("ReconfigVM_Task", busy, times=4)
    second = site.backup(level="Incremental", snapshot_retry_wait="0")
    assert remembers(second)
    (warning,) = said(second, "M_WARNING")
    assert "Marking VM web1 failed: TaskInProgress" in warning
    assert "[marker-not-written, task-failed]" in warning
    third = site.backup(level="Incremental")
    check_ok(third)
    assert not remembers(third)
    assert "left no marker in the VM (vSphere refused it then)" in log(third)
    assert remembers(site.backup(level="Incremental"))


def test_a_marker_whose_answer_was_lost(site: Site) -> None:
    machine = site.create(disks=[2 * MIB])
    site.lab.habits.fail("ReconfigVM_Task", ConnectionResetError(), after=True)
    job = site.backup(snapshot_retry_wait="0")
    check_ok(job)
    assert markers_of(machine.vm.config) == [point_of(site, job).marker]


@pytest.mark.parametrize("stays", [True, False])
def test_a_snapshot_between_marker_and_backup_snapshot(
    site: Site, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """It has the marker as well: the VM may be brought back to before the backup with it."""
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    bottom = machine.snapshot("bottom")
    machine.scribble("b", pieces=9)
    make = create.create
    between: list[Any] = []

    def meanwhile(vm: Any, name: str, *how: Any) -> Any:
        if name.startswith("vmsnap backup") and not between:
            between.append(make(vm, "between", "", False, False))
            if not stays:
                revert.revert(vm, vm.tree.current.parent, True, user="somebody")
        return make(vm, name, *how)

    monkeypatch.setattr(create, "create", meanwhile)
    first = site.backup()
    assert point_of(site, first).marker is None
    (warning,) = said(first, "M_WARNING")
    assert "Somebody took a snapshot of VM web1" in warning
    monkeypatch.undo()
    machine.scribble("lost", pieces=9)
    site.lab.habits.silent_reverts = True
    two_reverts(machine, find_snapshot(machine, "between") if stays else bottom)
    job = site.backup(level="Incremental")
    check_restores(site, machine)
    assert not remembers(job)


def test_reverted_between_reading_the_markers_and_adding_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read must not be written into a configuration that no longer has it."""
    site.lab.habits.silent_reverts = True
    machine = site.create(disks=[2 * MIB])
    machine.scribble("a", pieces=9)
    bottom = machine.snapshot("bottom")
    machine.scribble("b", pieces=9)
    check_ok(site.backup())
    two_reverts(machine, bottom)
    assert markers_of(machine.vm.config) == []
    change = reconfiguration.reconfigure
    seen: list[str] = []

    def meanwhile(vm: Any, spec: Any, *, user: str) -> None:
        seen.append(spec.changeVersion)
        if len(seen) == 1:
            revert.revert(vm, vm.tree.current, True, user="somebody")
        change(vm, spec, user=user)

    monkeypatch.setattr(reconfiguration, "reconfigure", meanwhile)
    job = site.backup(level="Incremental", snapshot_retry_wait="0")
    check_ok(job)
    assert len(set(seen)) == 2, "the first was refused, and the configuration was read again"
    assert not remembers(job)


def test_another_vcenter(site: Site) -> None:
    machine = site.create(disks=[2 * MIB])
    machine.snapshot("A")
    check_ok(site.backup())
    site.lab.vcenter.instance_uuid = "5f0e7b6c-0000-4000-8000-000000000001"
    machine.scribble("b")
    job = site.backup(level="Incremental")
    check_ok(job)
    assert not remembers(job)
    assert "through another vCenter" in log(job)
    machine.scribble("c")
    assert remembers(site.backup(level="Incremental"))
