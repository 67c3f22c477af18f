# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""An Incremental builds on the previous job's state only if that is an ancestor of today's.

Nothing but two witnesses says so: the marker in the VM's configuration, and the event history.
The bytes that a restore must bring are read from the lab's store just before a job, while the VM is
off.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from .hardware import MIB
from .joblog import check_ok, log, reasons
from .machine import Machine
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


def remembers(job: Any) -> bool:
    """Whether the job based the VM's state on that of the previous job."""
    assert job.status == "T", log(job)
    return "remembered from" in reasons(job)["now", DISK]


def two_reverts(machine: Machine, snapshot: Any) -> None:
    """After two reverts the leaf's file has its old name again: nothing of the disk tells of them."""
    for lap in ("first", "second"):
        machine.revert(snapshot)
        machine.scribble(lap)


def check_restores(site: Site, machine: Machine) -> None:
    """The newest backup brings back the bytes that the store has."""
    before = machine.portrait()
    machine.destroy()
    restored = site.restore()
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


def test_reverts_that_left_no_event(site: Site) -> None:
    site.lab.habits.silent_reverts = True
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
