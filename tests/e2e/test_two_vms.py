# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Several VMs in one job, and in one restore: each comes back by its own Plugin line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from .hardware import MIB
from .joblog import check_failed, check_ok, log, said
from .machine import Machine
from .portrait import Portrait
from .site import Site

NAMES = ("web1", "db1")


@dataclass
class Pair:
    """Two VMs, saved by a Full and an Incremental of one job with two Plugin lines."""

    site: Site
    machines: list[Machine]
    before: list[Portrait]
    jobs: list[int]

    def destroy(self) -> None:
        for machine in self.machines:
            machine.destroy()

    def check_back(self, *names: str) -> None:
        """These VMs are as they were, and no other VM is there."""
        assert self.site.vm_names() == sorted(names)
        for name in names:
            assert self.site.find(name).portrait() == self.before[NAMES.index(name)], name


@pytest.fixture
def pair(site: Site) -> Pair:
    machines = [site.create(name, disks=[MIB, MIB]) for name in NAMES]
    for machine in machines:
        machine.scribble(f"{machine.name} a")
        machine.snapshot("one")
        machine.scribble(f"{machine.name} b")
    full = site.backup(*NAMES)
    check_ok(full)
    for machine in machines:
        machine.snapshot("two")
        machine.scribble(f"{machine.name} c")
    incremental = site.backup(*NAMES, level="Incremental")
    check_ok(incremental)
    before = [machine.portrait() for machine in machines]
    return Pair(site, machines, before, [full.jobid, incremental.jobid])


def test_both_come_back(pair: Pair) -> None:
    pair.destroy()
    check_ok(pair.site.restore())
    pair.check_back(*NAMES)


def test_an_older_time_point_of_both(pair: Pair) -> None:
    pair.destroy()
    check_ok(pair.site.restore(pair.jobs[:1]))
    assert [pair.site.find(name).snapshot_names for name in NAMES] == [["one"], ["one"]]


def test_without_restore_objects(pair: Pair) -> None:
    pair.destroy()
    virtual = pair.site.daemon.virtual_full(pair.jobs).jobid
    check_ok(pair.site.restore([virtual]))
    pair.check_back(*NAMES)


def test_only_the_one_that_was_selected(pair: Pair) -> None:
    pair.destroy()
    check_ok(pair.site.restore(select=lambda name: "/db1." in name))
    pair.check_back("db1")


def test_options_given_at_restore_count_for_both(pair: Pair) -> None:
    pair.destroy()
    check_ok(pair.site.restore(restore_datastore="datastore2", restore_created="yes"))
    for name in NAMES:
        machine = pair.site.find(name)
        assert all(machine.guest.path(key).startswith("[datastore2]") for key in (2000, 2001))


def test_one_name_does_not_fit_both(pair: Pair) -> None:
    job = pair.site.restore(vmname="copy")
    check_failed(job, "several VMs, and vmname was given for all of them")
    assert pair.site.vm_names() == ["copy (incomplete restore)", "db1", "web1"], log(job)
    assert "copy (incomplete restore)" in said(job, "M_ERROR")[-1]


def test_one_that_is_not_complete_does_not_keep_the_other_from_it(pair: Pair) -> None:
    pair.destroy()
    last = sorted(
        stored.name for stored in pair.site.daemon.files(pair.jobs[1]) if "/web1." in stored.name
    )
    lost = next(name for name in last if name.endswith(".vmseg") and "/state-" in name)
    job = pair.site.restore(select=lambda name: name != lost)
    check_failed(job, r"VM web1: 1 of \d+ segments did not come: " + lost.replace(".", r"\."))
    assert pair.site.vm_names() == ["db1", "web1 (incomplete restore)"]
    assert pair.site.find("db1").portrait() == pair.before[1]


def test_jobs_of_two_vms_in_one_selection(site: Site) -> None:
    """Each with options of its own, which Bareos shows only file by file."""
    machines = [site.create(name, disks=[MIB]) for name in NAMES]
    for machine in machines:
        machine.scribble(machine.name)
    jobs = [site.backup("web1"), site.backup("db1", restore_datastore="datastore2")]
    before = [machine.portrait() for machine in machines]
    for machine in machines:
        machine.destroy()
    check_ok(site.restore([job.jobid for job in jobs]))
    assert [site.find(name).portrait().faces for name in NAMES] == [seen.faces for seen in before]
    places = [site.find(name).guest.path(2000).split("]")[0] for name in NAMES]
    assert places == ["[datastore1", "[datastore2"]


def test_the_same_vm_twice_in_one_job(site: Site) -> None:
    machine = site.create(disks=[MIB])
    check_failed(site.backup("web1", "web1"), "Two Plugin lines of the FileSet name the same VM")
    assert machine.vm.snapshot is None


def test_the_second_vm_cannot_be_saved(site: Site) -> None:
    machine = site.create(disks=[MIB])
    check_failed(site.backup("web1", "absent"), "absent")
    assert machine.vm.snapshot is None
    with pytest.raises(LookupError):
        site.restore()
