# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""QueryAllocatedBlocks, as NBD block status."""

from __future__ import annotations

import nbd
import pytest
from pyVim import task
from pyVmomi import vim

from vmsnap_lab.guest import Guest
from vmsnap_lab.lab import Lab
from vmsnap_lab.vddk import VixError

from .conftest import MIB, take_snapshot
from .nbdkit import Site, extents

CHUNK = 65536
DATA, HOLE_AND_ZERO, HOLE = 0, 3, 1
GIB, TIB = 1 << 30, 1 << 40


def test_a_chain(site: Site, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        assert extents(disk) == [[0, MIB, DATA], [MIB, 3 * MIB, HOLE_AND_ZERO]]
    with site.opened(guest) as disk:
        assert extents(disk) == [[0, 2 * MIB, DATA], [2 * MIB, 2 * MIB, HOLE_AND_ZERO]]


def test_a_link_alone(site: Site, lab: Lab, guest: Guest) -> None:
    take_snapshot(lab, guest, "second")
    with site.opened(guest, "second", single_link="true") as disk:
        assert extents(disk) == [[0, MIB, HOLE], [MIB, MIB, DATA], [2 * MIB, 2 * MIB, HOLE]]


def test_written_zeros_are_allocated(site: Site, guest: Guest) -> None:
    guest.write_zeros(2000, 3 * MIB, CHUNK)
    with site.opened(guest) as disk:
        assert extents(disk, 3 * MIB, MIB) == [
            [3 * MIB, CHUNK, DATA],
            [3 * MIB + CHUNK, MIB - CHUNK, HOLE_AND_ZERO],
        ]


def test_any_sector_makes_a_chunk(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("sectors", [MIB])
    guest.write(2000, 5 * CHUNK + 512, b"x")
    with site.opened(guest) as disk:
        assert extents(disk)[1] == [5 * CHUNK, CHUNK, DATA]


@pytest.mark.parametrize("tail", [512, CHUNK - 512, CHUNK])
def test_tails(site: Site, lab: Lab, tail: int) -> None:
    """A tail shorter than a chunk cannot be asked for: nbdkit calls it data."""
    guest = lab.create_vm(f"tail {tail}", [MIB + tail])
    with site.opened(guest) as disk:
        kind = HOLE_AND_ZERO if tail == CHUNK else DATA
        found = extents(disk)
    assert sum(length for _, length, _ in found) == MIB + tail
    assert found[-1][2] == kind


def test_a_disk_of_one_chunk(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("one chunk", [CHUNK])
    with site.opened(guest) as disk:
        assert extents(disk) == [[0, CHUNK, HOLE_AND_ZERO]]


def test_beyond_two_gib(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("large", [5 * GIB])
    places = (0, 2 * GIB - CHUNK, 4 * GIB - CHUNK, 4 * GIB, 5 * GIB - CHUNK)
    for place in places:
        guest.write(2000, place, b"x")
    with site.opened(guest) as disk:
        found = extents(disk)
        assert disk.pread(512, 4 * GIB)[:1] == b"x"
    assert [start for start, _, flags in found if flags == DATA] == [
        0,
        2 * GIB - CHUNK,
        4 * GIB - CHUNK,  # and the next one
        5 * GIB - CHUNK,
    ]


def test_62_tib(site: Site, lab: Lab) -> None:
    guest = lab.create_vm("huge", [62 * TIB])
    guest.write(2000, 31 * TIB, b"middle")
    guest.write(2000, 62 * TIB - 512, b"end")
    with site.opened(guest) as disk:
        assert disk.get_size() == 62 * TIB
        assert disk.pread(512, 62 * TIB - 512)[:3] == b"end"
        for start in (0, 31 * TIB - GIB, 62 * TIB - 2 * GIB):
            found = extents(disk, start, 2 * GIB)
            assert sum(length for _, length, _ in found) == 2 * GIB
            assert any(flags == DATA for _, _, flags in found) is (start != 0)


def test_everything_called_allocated(site: Site, lab: Lab, guest: Guest) -> None:
    lab.vddk.habits.all_allocated = True
    with site.opened(guest, "first") as disk:
        assert extents(disk) == [[0, 4 * MIB, DATA]]


def test_chunks_that_are_left_out(site: Site, lab: Lab, guest: Guest) -> None:
    def shown(seed: int) -> set[int]:
        lab.vddk.habits.hidden, lab.vddk.habits.seed = 0.5, seed
        with site.opened(guest, "first") as disk:
            found = [(start, size) for start, size, flags in extents(disk) if flags == DATA]
        return {n for start, size in found for n in range(start // CHUNK, (start + size) // CHUNK)}

    some, others = shown(1), shown(2)
    assert some != others
    for numbers in (some, others):
        assert 0 < len(numbers) < 16 and numbers < set(range(16))
    assert shown(1) == some
    lab.vddk.habits.hidden = 1.0
    with site.opened(guest, "first") as disk:
        assert extents(disk) == [[0, 4 * MIB, HOLE_AND_ZERO]]


def test_files_of_other_folders_left_out(site: Site, lab: Lab, guest: Guest) -> None:
    """A linked clone's own file holds one chunk; the rest is in the source's folder."""
    content = lab.connect().content
    vm = content.searchIndex.FindByInventoryPath(f"Lab/vm/{guest.vm.name}")
    snapshot = vm.snapshot.rootSnapshotList[0].snapshot
    move = vim.vm.RelocateSpec(diskMoveType="createNewChildDiskBacking")
    spec = vim.vm.CloneSpec(location=move, powerOn=False, template=False, snapshot=snapshot)
    done = vm.CloneVM_Task(vm.parent, f"{vm.name} clone", spec)
    task.WaitForTask(done)
    clone = lab.guest(done.info.result._moId)
    clone.write(2000, 3 * MIB, b"own")
    with site.opened(clone) as disk:
        assert extents(disk)[0] == [0, MIB, DATA]
    lab.vddk.habits.own_files = True
    with site.opened(clone) as disk:
        assert extents(disk) == [
            [0, 3 * MIB, HOLE_AND_ZERO],
            [3 * MIB, CHUNK, DATA],
            [3 * MIB + CHUNK, MIB - CHUNK, HOLE_AND_ZERO],
        ]
    with site.opened(guest, "first") as disk:
        assert extents(disk)[0] == [0, MIB, DATA]


def test_a_query_that_never_works(site: Site, lab: Lab, guest: Guest) -> None:
    """nbdkit tries it when a client comes, and then offers no block status of its own."""
    lab.vddk.habits.fail("QueryAllocatedBlocks", VixError.NOT_SUPPORTED, times=1000)
    with site.opened(guest, "first") as disk:
        assert extents(disk) == [[0, 4 * MIB, DATA]]


def test_a_query_that_fails_later(site: Site, lab: Lab, guest: Guest) -> None:
    with site.opened(guest, "first") as disk:
        lab.vddk.habits.fail("QueryAllocatedBlocks", VixError.FAIL)
        with pytest.raises(nbd.Error):
            extents(disk)
        assert extents(disk)[0] == [0, MIB, DATA]
