# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Several threads at one store."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbd

from vmsnap_lab.storage import DiskStore, Door

from .helpers import BASE, BLOCK, blocks, delta, eventually, servers

MIB = 1 << 20


def test_questions_are_answered_while_a_guest_writes(store: DiskStore) -> None:
    store.create(BASE, 64 * MIB)
    store.create_delta(BASE, delta(1))
    writes = [(n % 64 * MIB, bytes([n % 251 + 1]) * MIB) for n in range(400)]
    with ThreadPoolExecutor() as pool:
        guest = pool.submit(store.write_many, delta(1), writes)
        eventually(servers)
        answered = 0
        while not guest.done():
            assert store.chain(delta(1)) == [delta(1), BASE]
            assert store.change_id(BASE) is None
            store.create_delta(BASE, delta(2))
            store.delete(delta(2))
            answered += 1
        guest.result()
    assert answered > 3, "the first ones waited until the guest was done"


def test_operations_on_one_disk_wait_for_each_other(store: DiskStore) -> None:
    store.create(BASE, MIB)
    store.enable_tracking(BASE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.write(BASE, n * BLOCK, b"data"), range(16)))
        list(pool.map(lambda n: store.changed_areas(BASE, "*"), range(8)))
        list(pool.map(lambda n: store.create_delta(BASE, delta(n)), range(16)))
    assert blocks(store.changed_areas(BASE, "*")) == set(range(16))
    assert len(store.children(BASE)) == 16
    ids = {store.change_id(delta(n)) for n in range(16)}
    assert len(ids) == 16  # no number was given twice


def test_many_vms_at_once(store: DiskStore, sockets: Path) -> None:
    """Each thread plays a guest, its snapshots, and a backup that reads them through a door."""

    def play(vm: int) -> None:
        dice = random.Random(vm)
        names = [f"[datastore1] vm{vm}/{n}.vmdk" for n in range(12)]
        shown = [names[0]]
        store.create(names[0], MIB)
        store.enable_tracking(names[0])
        store.open_door(sockets / f"{vm}", lambda: Door(shown[0]))
        content = bytearray(MIB)
        leaf = names[0]
        for name in names[1:]:
            offset = dice.randrange(MIB - 9)
            content[offset : offset + 9] = dice.randbytes(9)
            store.write(leaf, offset, bytes(content[offset : offset + 9]))
            store.create_delta(leaf, name)
            shown[0], leaf = leaf, name
            client = nbd.NBD()
            client.connect_unix(str(sockets / f"{vm}"))
            assert client.pread(MIB, 0) == content
            client.shutdown()
            if dice.random() < 0.4:
                leaf = store.merge_into_parent(leaf)
        assert store.read(leaf, 0, MIB) == content
        assert store.relocate(store.chain(leaf), "slow disks")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(play, range(6)))
    assert store.refusals == []
