# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Making, merging, moving and deleting disks."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from vmsnap_lab.storage import DiskStore, Extent

from .helpers import BASE, BLOCK, delta, refused

MIB = 1 << 20


@pytest.mark.parametrize("capacity", [512, 65536 - 512, 65536 + 512, 3 * MIB + 1536])
def test_a_disk_has_exactly_its_capacity(store: DiskStore, capacity: int) -> None:
    store.create(BASE, capacity)
    store.write(BASE, capacity - 512, b"e" * 512)
    store.create_delta(BASE, delta(1))
    store.write_zeros(delta(1), capacity - 5, 5)

    content = bytes(capacity - 512) + b"e" * 507 + bytes(5)
    assert (store.capacity(BASE), store.capacity(delta(1))) == (capacity, capacity)
    assert store.read(delta(1), 0, capacity) == content
    assert store.sha256(delta(1)) == hashlib.sha256(content).hexdigest()
    assert store.read(BASE, capacity - 5, 5) == b"eeeee"
    for offset, length in ((capacity, 1), (capacity - 1, 2), (-1, 1)):
        with refused("bad-offset"):
            store.read(BASE, offset, length)
        with refused("bad-offset"):
            store.write(delta(1), offset, bytes(length))


def test_the_largest_disk(store: DiskStore) -> None:
    capacity = 62 << 40
    store.create(BASE, capacity)
    store.enable_tracking(BASE)
    store.write(BASE, capacity - 512, b"z" * 512)
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(capacity // 2, b"middle"), (40 << 30, 3 << 30)])
    store.create_delta(delta(1), delta(2))

    start = store.change_id(BASE)
    assert start is not None
    assert store.changed_areas(delta(1), start) == [
        Extent(40 << 30, 3 << 30),
        Extent(capacity // 2, BLOCK),
    ]
    assert store.read(delta(2), capacity - 512, 3) == b"zzz"
    assert store.size_on_datastore(BASE) < 8 * MIB


@pytest.mark.parametrize("capacity", [0, -512, 1000, (62 << 40) + 512])
def test_impossible_capacities(store: DiskStore, capacity: int) -> None:
    with refused("bad-request"):
        store.create(BASE, capacity)
    assert not store.exists(BASE)


def test_a_thick_disk_takes_its_space_at_once(store: DiskStore) -> None:
    store.create(BASE, 4 * MIB, thin=False)
    assert store.size_on_datastore(BASE) >= 4 * MIB
    assert store.allocated(BASE) == [Extent(0, 4 * MIB)]
    assert store.read(BASE, 0, 4 * MIB) == bytes(4 * MIB)


def test_what_is_allocated(store: DiskStore) -> None:
    store.create(BASE, 8 * BLOCK)
    store.write_many(BASE, [(0, b"a" * 2 * BLOCK)])
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(BLOCK, BLOCK), (5 * BLOCK + 9, b"b")])
    assert blocks_in(store.allocated(delta(1))) == {0, 1, 5}
    assert blocks_in(store.allocated(delta(1), single_link=True)) == {1, 5}


def blocks_in(areas: list[Extent]) -> set[int]:
    return {
        n
        for area in areas
        for n in range(area.start // BLOCK, -(-(area.start + area.length) // BLOCK))
    }


@pytest.mark.parametrize(
    "path",
    [
        "[datastore1] 虚拟机/磁盘 1.vmdk",
        "[slow disks] a:b/c:d,e=f.vmdk",
        "[datastore1] per%cent 'quote\" $x.vmdk",
    ],
)
def test_odd_names(store: DiskStore, path: str) -> None:
    child = path.replace(".vmdk", "-000001.vmdk")
    store.create(path, MIB)
    store.enable_tracking(path)
    store.write(path, 0, b"below")
    store.create_delta(path, child)
    store.write(child, 100_000, b"above")
    assert store.read(child, 0, 5) == b"below"
    assert store.merge_into_parent(child) == path
    assert store.read(path, 100_000, 5) == b"above"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("vm.vmdk", "bad-request"),
        ("[datastore1] ../x.vmdk", "bad-request"),
        ("[datastore1] /etc/x.vmdk", "bad-request"),
        ("[datastore1] a//b.vmdk", "bad-request"),
        ("[datastore1]", "bad-request"),
        ("[elsewhere] x.vmdk", "missing"),
    ],
)
def test_paths_that_are_none(store: DiskStore, path: str, kind: str) -> None:
    with refused(kind):
        store.create(path, MIB)
    with refused(kind):
        store.parent(path)


def test_one_way_to_spell_a_path(store: DiskStore) -> None:
    store.create("[datastore1]vm/vm.vmdk", MIB)
    assert store.list("datastore1") == [BASE]
    assert store.exists("[datastore1]  vm/vm.vmdk")
    with refused("exists"):
        store.create(BASE, MIB)


def test_names_that_are_taken(store: DiskStore) -> None:
    store.create(BASE, MIB)
    other = store.host_path("[datastore1] vm/vm.vmx")
    other.write_text("not a disk")
    for path in (BASE, "[datastore1] vm/vm.vmx"):
        for attempt in (
            lambda path=path: store.create(path, MIB),
            lambda path=path: store.create_delta(BASE, path),
            lambda path=path: store.copy(BASE, path),
            lambda path=path: store.move(BASE, path),
        ):
            with refused("exists"):
                attempt()
    assert store.list("datastore1") == [BASE]
    assert other.read_text() == "not a disk"


def test_a_tree(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.create_delta(BASE, delta(1))
    store.create_delta(delta(1), delta(2))
    store.create_delta(BASE, delta(3))
    assert store.chain(delta(2)) == [delta(2), delta(1), BASE]
    assert store.children(BASE) == [delta(1), delta(3)]
    assert (store.parent(delta(3)), store.parent(BASE)) == (BASE, None)
    assert [store.is_frozen(path) for path in (BASE, delta(1), delta(2), delta(3))] == [
        *(True, True, False, False)
    ]
    for path in (BASE, delta(1)):
        with refused("has-children"):
            store.delete(path)
        with refused("locked"):
            store.write(path, 0, b"x")
    store.delete(delta(2))
    with refused("locked"):  # its snapshot is still there
        store.write(delta(1), 0, b"x")
    store.delete(delta(1))
    assert store.list("datastore1") == [delta(3), BASE]
    with refused("missing"):
        store.chain(delta(1))


def test_branches_do_not_see_each_other(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.write(BASE, 0, b"base" * 100)
    store.create_delta(BASE, delta(1))
    store.write(delta(1), 0, b"one")
    store.create_delta(BASE, delta(2), reverted=True)
    store.write(delta(2), 1, b"two")
    assert store.read(BASE, 0, 4) == b"base"
    assert store.read(delta(1), 0, 4) == b"onee"
    assert store.read(delta(2), 0, 4) == b"btwo"


def test_merging_the_leaf(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.write(BASE, 0, b"a" * 1000)
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(10, b"b"), (100, 50), (500_000, b"c")])
    digest = store.sha256(delta(1))
    assert store.merge_into_parent(delta(1)) == BASE
    assert store.sha256(BASE) == digest
    assert not store.host_path(delta(1)).exists()
    store.write(BASE, 0, b"the parent is the leaf again")
    with refused("missing"):
        store.sha256(delta(1))


def test_merging_in_the_middle(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.write(BASE, 0, b"a" * 200_000)
    store.create_delta(BASE, delta(1))
    store.write_many(delta(1), [(0, b"one"), (70_000, 70_000)])
    store.create_delta(delta(1), delta(2))
    store.create_delta(delta(1), delta(3))
    store.write(delta(2), 3, b"two")
    store.write(delta(3), 150_000, b"three")
    digests = {path: store.sha256(path) for path in (delta(1), delta(2), delta(3))}

    assert store.merge_into_parent(delta(1)) == BASE
    assert store.sha256(BASE) == digests[delta(1)]
    assert store.sha256(delta(2)) == digests[delta(2)]
    assert store.sha256(delta(3)) == digests[delta(3)]
    assert store.children(BASE) == [delta(2), delta(3)]
    with refused("locked"):
        store.write(BASE, 0, b"x")


def test_a_parent_with_several_children_keeps_them(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.create_delta(BASE, delta(1))
    store.create_delta(BASE, delta(2))
    with refused("has-children"):
        store.merge_into_parent(delta(1))
    with refused("bad-request"):
        store.merge_into_parent(BASE)


def test_growing(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    store.write(BASE, MIB - 512, b"x" * 512)
    store.grow(BASE, 3 * MIB + 512)
    assert store.capacity(BASE) == 3 * MIB + 512
    store.write(BASE, 3 * MIB, b"y")
    assert store.read(BASE, MIB - 1, 2) == b"x\0"
    assert store.changed_areas(BASE, "*") == [Extent(MIB - BLOCK, BLOCK), Extent(3 * MIB, 512)]
    with refused("bad-request"):
        store.grow(BASE, MIB)
    store.create_delta(BASE, delta(1))
    with refused("has-children"):
        store.grow(BASE, 4 * MIB)
    with refused("bad-request"):
        store.grow(delta(1), 4 * MIB)


def test_moving_a_disk_with_children(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    store.write(BASE, 0, b"base")
    store.create_delta(BASE, delta(1))
    store.create_delta(delta(1), delta(2))
    store.write(delta(2), 4, b"two")
    identity = store.change_id(delta(1))
    store.move(delta(1), "[slow disks] far/away/x.vmdk")
    assert store.chain(delta(2)) == [delta(2), "[slow disks] far/away/x.vmdk", BASE]
    assert store.read(delta(2), 0, 7) == b"basetwo"
    assert store.change_id("[slow disks] far/away/x.vmdk") == identity
    assert not store.exists(delta(1))
    assert not store.host_path(delta(1)).exists()


def test_relocating_a_whole_vm(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    store.write(BASE, 0, b"base")
    store.create_delta(BASE, delta(1))
    store.write(delta(1), 4, b"one")
    store.create_delta(BASE, "[slow disks] clone/clone.vmdk")
    identity = store.change_id(BASE)
    assert identity is not None
    moved = store.relocate([BASE, delta(1)], "slow disks")
    assert moved == {
        BASE: "[slow disks] vm/vm.vmdk",
        delta(1): "[slow disks] vm/vm-000001.vmdk",
    }
    assert store.list("datastore1") == []
    assert store.chain(moved[delta(1)]) == [moved[delta(1)], moved[BASE]]
    assert store.read(moved[delta(1)], 0, 7) == b"baseone"
    assert store.read("[slow disks] clone/clone.vmdk", 0, 5) == b"base\0"
    assert store.changed_areas(moved[delta(1)], identity) == [Extent(0, BLOCK)]
    assert store.relocate([moved[BASE]], "slow disks") == {}
    with refused("missing"):
        store.relocate([moved[BASE]], "elsewhere")


def test_copying_a_chain(store: DiskStore) -> None:
    store.create(BASE, MIB + 512)
    store.write(BASE, 0, b"base")
    store.create_delta(BASE, delta(1))
    store.write(delta(1), MIB, b"one")
    store.copy(delta(1), "[slow disks] copy.vmdk")
    assert store.parent("[slow disks] copy.vmdk") is None
    assert store.sha256("[slow disks] copy.vmdk") == store.sha256(delta(1))
    assert store.change_id("[slow disks] copy.vmdk") is None


def test_files_stay_sound(store: DiskStore) -> None:
    """qemu itself finds nothing wrong after all that the storage does to its files."""
    store.create(BASE, 3 * MIB + 512)
    store.enable_tracking(BASE)
    for number in range(1, 5):
        below = BASE if number == 1 else delta(number - 1)
        store.create_delta(below, delta(number))
        store.write(delta(number), number * 100_000, b"x" * 70_000)
    store.merge_into_parent(delta(2))
    store.merge_into_parent(delta(4))
    store.relocate([BASE, delta(1), delta(3)], "slow disks")
    for path in store.list("slow disks"):
        command = ["qemu-img", "check", "-f", "qcow2", str(store.host_path(path))]
        checked = subprocess.run(command, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_a_file_that_is_damaged(store: DiskStore) -> None:
    store.create(BASE, MIB)
    with store.host_path(BASE).open("r+b") as file:
        file.seek(40)  # the table of tables
        file.write(b"\xff" * 8)
    with refused("corrupt"):
        store.read(BASE, 0, 1)
    with refused("corrupt"):
        store.allocated(BASE)


def test_a_full_datastore(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(full)])
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    try:
        with DiskStore(full) as store:
            store.create(BASE, 64 * MIB)
            with refused("no-space"):
                store.write(BASE, 0, b"x" * 16 * MIB)
            with refused("no-space"):
                store.create(delta(1), 64 * MIB, thin=False)
            assert store.list("datastore1") == [BASE]
    finally:
        subprocess.run(["umount", str(full)], check=True)
