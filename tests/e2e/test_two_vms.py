# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Several VMs in one job, and in one restore: each comes back by its own Plugin line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vmsnap_lab.guest import Guest

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


# Two UUIDs as one vCenter makes them: the first bytes are the same for all its VMs, then come few
# random ones. Here the first 8 digits agree.
ALIKE = ("5026d9fb-1111-4aaa-8000-00000000000a", "5026d9fb-2222-4bbb-9000-00000000000b")


@dataclass
class Clash:
    """Two VMs of one FileSet whose instance UUIDs begin alike, in a Full and an Incremental.

    `before` is what the lab's disks held at the second job; `portraits` by instance UUID.
    """

    site: Site
    machines: list[Machine]
    before: dict[str, Portrait]
    jobs: list[int]

    def check_back(self, *which: int) -> None:
        """Exactly these have come back, each with its own bytes."""
        found = [Machine(self.site.lab, guest, self.site.client) for guest in guests(self.site)]
        assert sorted(m.vm.config.instanceUuid for m in found) == [ALIKE[n] for n in which]
        for machine in found:
            assert machine.portrait() == self.before[machine.vm.config.instanceUuid]


def guests(site: Site) -> list[Guest]:
    return [site.lab.guest(vm.moid) for vm in site.lab.vcenter.vms()]


@pytest.fixture(params=["other names", "one name"])
def clash(site: Site, request: pytest.FixtureRequest) -> Clash:
    names = ("web1", "web1" if request.param == "one name" else "db1")
    machines = []
    for number, (name, uuid) in enumerate(zip(names, ALIKE)):
        folder = site.client.content.searchIndex.FindByInventoryPath("Lab/vm")
        folder.CreateFolder(f"f{number}")
        machine = site.create(name, disks=[MIB], folder=f"Lab/vm/f{number}")
        machine.reconfigure(instanceUuid=uuid)
        machines.append(machine)
    lines = [site.plugin(vmname=None, dc=None, uuid=uuid) for uuid in ALIKE]
    jobs = []
    for level in ("Full", "Incremental"):
        for machine, uuid in zip(machines, ALIKE):
            machine.scribble(f"{uuid} {level}")
            machine.snapshot(level)
            machine.scribble(f"{uuid} {level} more")
        job = site.daemon.backup(lines, level=level, environment=site._environment())
        check_ok(job)
        jobs.append(job.jobid)
    before = {m.vm.config.instanceUuid: m.portrait() for m in machines}
    assert len({portrait.faces[-1].disks for portrait in before.values()}) == 2
    for machine in machines:
        machine.destroy()
    return Clash(site, machines, before, jobs)


def test_two_vms_whose_uuids_begin_alike(clash: Clash) -> None:
    check_ok(clash.site.restore())
    clash.check_back(0, 1)


@pytest.mark.parametrize("which", [0, 1])
def test_one_alone_of_two_whose_uuids_begin_alike(clash: Clash, which: int) -> None:
    digits = ALIKE[which].replace("-", "")
    check_ok(clash.site.restore(select=lambda name: digits in name))
    clash.check_back(which)


def test_two_whose_uuids_begin_alike_without_restore_objects(clash: Clash) -> None:
    virtual = clash.site.daemon.virtual_full(clash.jobs).jobid
    check_ok(clash.site.restore([virtual]))
    clash.check_back(0, 1)


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
