# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Disks that come, go, and are of every kind."""

from __future__ import annotations

from pyVmomi import vim

from . import hardware
from .hardware import MIB
from .roundtrip import round_trip
from .site import Site

KIB = 1 << 10


def test_a_disk_that_a_later_snapshot_brings_and_another_takes_away(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.scribble("a")
    machine.snapshot("one disk")
    machine.reconfigure(hardware.disk(2 * MIB))
    machine.scribble("b")
    two = machine.snapshot("two disks")
    machine.reconfigure(hardware.remove(machine.device(2001)))
    machine.scribble("c")
    machine.snapshot("one again")
    machine.revert(two)
    machine.scribble("d")
    round_trip(site, machine)


def test_another_disk_in_the_same_place(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB))
    machine.scribble("old")
    machine.snapshot("with the old disk")
    machine.reconfigure(hardware.remove(machine.device(2001)), hardware.disk(MIB))
    machine.guest.write(2001, 0, b"new" * 100)
    machine.snapshot("with the new disk")
    machine.reconfigure(hardware.remove(machine.device(2001)), hardware.disk(3 * MIB, unit=1))
    machine.scribble("newest")
    assert len({machine.guest.path(2001, s) for s in (None, *machine.snapshot_names)}) == 3
    round_trip(site, machine)


def test_a_disk_reused_from_another_branch(site: Site) -> None:
    """The same virtual disk is gone in between: nothing may be taken for unchanged."""
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB))
    machine.scribble("a")
    machine.snapshot("has it")
    device = machine.device(2001)
    machine.reconfigure(hardware.remove(device))
    machine.snapshot("has it not")
    machine.reconfigure(hardware.disk(MIB, unit=1, path=device.backing.fileName, attach=True))
    machine.scribble("b")
    machine.snapshot("has it again")
    round_trip(site, machine)


def test_every_size_and_bus(site: Site) -> None:
    machine = site.create(disks=[MIB, 64 * KIB + 512, 512])
    machine.reconfigure(
        hardware.controller(
            vim.vm.device.VirtualLsiLogicController, key=-20, busNumber=1, sharedBus="noSharing"
        ),
        hardware.disk(3 * 64 * KIB - 512, controller=-20, unit=9),
        hardware.controller(hardware.NVME, key=-30),
        hardware.disk(MIB + 64 * KIB, controller=-30),
        hardware.controller(hardware.SATA, key=-40),
        hardware.disk(MIB + 1536, controller=-40, unit=5),
    )
    machine.scribble("a")
    machine.snapshot("s")
    machine.scribble("b")
    round_trip(site, machine)


def test_empty_disks_stay_empty(site: Site) -> None:
    machine = site.create(disks=[MIB, MIB])
    machine.guest.write_zeros(2001, 0, MIB)
    machine.snapshot("empty")
    round_trip(site, machine)
    store = site.lab.store
    for path in store.list("datastore1"):
        assert list(store.allocated(path)) == [], "a thin disk must not be filled with zeros"


def test_zeros_over_data_and_the_last_sector(site: Site) -> None:
    size = MIB + 512
    machine = site.create(disks=[size])
    machine.guest.write(2000, 0, b"\xaa" * size)
    machine.snapshot("full")
    machine.guest.write_zeros(2000, 128 * KIB, 256 * KIB)
    machine.guest.write_zeros(2000, size - 512, 512)
    machine.snapshot("holes")
    machine.guest.write(2000, 200 * KIB, b"\xbb" * 512)
    machine.guest.write(2000, size - 512, b"\xcc" * 512)
    guest = round_trip(site, machine).guest
    assert guest.read(2000, 128 * KIB, 512) == bytes(512)
    assert guest.read(2000, size - 512, 512) == b"\xcc" * 512
    assert guest.read(2000, size - 512, 512, "holes") == bytes(512)


def test_disks_on_two_datastores_and_of_every_mode(site: Site) -> None:
    machine = site.create(disks=[MIB])
    machine.reconfigure(hardware.disk(MIB, path="[datastore2]", thinProvisioned=True))
    machine.scribble("a")
    machine.snapshot("s")
    machine.scribble("b")
    assert machine.guest.path(2001).startswith("[datastore2]")
    round_trip(site, machine)
