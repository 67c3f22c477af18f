# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Doors, through real NBD clients."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbd
import pytest

from vmsnap_lab.storage import DiskStore, Door, FileHabits, StorageError

from .helpers import BASE, BLOCK, blocks, delta, eventually, is_running, kill, refused, servers

MIB = 1 << 20


def connect(path: Path) -> nbd.NBD:
    handle = nbd.NBD()
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    handle.connect_unix(str(path))
    return handle


def showing(path: str, writable: bool = False) -> Callable[[], Door]:
    return lambda: Door(path, writable)


def is_refused(path: Path) -> bool:
    handle = nbd.NBD()
    handle.aio_connect_unix(str(path))
    try:
        while handle.aio_is_connecting():
            assert handle.poll(60_000) > 0, "neither refused nor let in"
        handle.shutdown()
    except nbd.Error:
        return True
    return False


@pytest.fixture
def tree(store: DiskStore) -> DiskStore:
    """BASE, frozen, with "base" at 0; delta 1 as the leaf, with "one" at 4."""
    store.create(BASE, MIB + 512)
    store.enable_tracking(BASE)
    store.write(BASE, 0, b"base")
    store.create_delta(BASE, delta(1))
    store.write(delta(1), 4, b"one")
    return store


def test_reading(tree: DiskStore, sockets: Path) -> None:
    tree.open_door(sockets / "s", lambda: Door(delta(1)))
    handle = connect(sockets / "s")
    assert (handle.get_size(), handle.is_read_only()) == (MIB + 512, True)
    assert handle.pread(8, 0) == b"baseone\0"
    assert (tree.open_count(delta(1)), tree.open_count(BASE)) == (1, 1)
    handle.shutdown()
    eventually(lambda: tree.open_count(delta(1)) == 0)
    assert servers() == []


def test_several_readers_share_a_server_that_ends_after_the_last(
    tree: DiskStore, sockets: Path
) -> None:
    tree.open_door(sockets / "s", lambda: Door(BASE))
    handles = [connect(sockets / "s") for _ in range(5)]
    (server,) = servers()
    for left in range(5, 0, -1):
        assert all(handle.pread(4, 0) == b"base" for handle in handles)
        assert len(handles) == left
        assert servers() == [server]
        handles.pop().shutdown()
    eventually(lambda: not is_running(server))
    handle = connect(sockets / "s")
    assert handle.pread(4, 0) == b"base"
    assert servers() != [server]
    handle.shutdown()


def test_a_door_shows_what_is_right_at_the_moment(tree: DiskStore, sockets: Path) -> None:
    shown = [BASE]
    tree.open_door(sockets / "s", lambda: Door(shown[0]))
    for path, content in ((BASE, b"base\0"), (delta(1), b"baseo"), (BASE, b"base\0")):
        shown[0] = path
        handle = connect(sockets / "s")
        assert handle.pread(5, 0) == content
        handle.shutdown()
        eventually(lambda: not servers())
    tree.merge_into_parent(delta(1))
    handle = connect(sockets / "s")
    assert handle.pread(7, 0) == b"baseone"
    handle.shutdown()


def test_what_a_client_writes_is_tracked(tree: DiskStore, sockets: Path) -> None:
    start = tree.change_id(BASE)
    assert start is not None
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable=True))
    handle = connect(sockets / "s")
    handle.pwrite(b"client", 5 * BLOCK - 3)
    handle.zero(BLOCK, 8 * BLOCK)
    with refused("locked"):
        tree.changed_areas(delta(1), start)
    handle.shutdown()
    # No waiting here: the store waits for the server that is about to end.
    assert blocks(tree.changed_areas(delta(1), start)) == {0, 4, 5, 8}
    assert tree.read(delta(1), 5 * BLOCK - 3, 6) == b"client"


def test_what_a_client_writes_may_be_missed(tree: DiskStore, sockets: Path) -> None:
    """Nothing of what is in the leaf when the client leaves is known; later writes are."""
    tree.habits.door_writes = "missed"
    start = tree.change_id(BASE)
    assert start is not None
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable=True))
    handle = connect(sockets / "s")
    handle.pwrite(b"client", 5 * BLOCK)
    handle.shutdown()
    assert blocks(tree.changed_areas(delta(1), start)) == set()
    assert tree.read(delta(1), 5 * BLOCK, 6) == b"client"
    tree.write(delta(1), 7 * BLOCK, b"guest")
    assert blocks(tree.changed_areas(delta(1), start)) == {7}


def test_a_writer_is_alone(tree: DiskStore, sockets: Path) -> None:
    for name, writable in (("w", True), ("x", True), ("r", False)):
        tree.open_door(sockets / name, showing(delta(1), writable))
    writer = connect(sockets / "w")
    for name in ("x", "r", "w"):
        assert is_refused(sockets / name), name
    assert {refusal.kind for refusal in tree.refusals} == {"locked"}
    assert [refusal.socket.name for refusal in tree.refusals] == ["x", "r", "w"]
    writer.pwrite(b"still at work", 0)
    writer.shutdown()
    for name in ("x", "r", "w"):
        assert not is_refused(sockets / name), name


def test_writers_one_after_the_other(tree: DiskStore, sockets: Path) -> None:
    tree.open_door(sockets / "w", lambda: Door(delta(1), writable=True))
    for number in range(10):
        handle = connect(sockets / "w")
        handle.pwrite(b"%d" % number, number)
        handle.shutdown()
    assert tree.read(delta(1), 0, 10) == b"0123456789"
    assert tree.refusals == []


def test_a_server_that_is_slow_to_notice_that_its_client_has_gone(
    tree: DiskStore, sockets: Path
) -> None:
    """Who comes next waits for it, however long: a client, one at another door, an operation."""
    for name in ("w", "x"):
        tree.open_door(sockets / name, lambda: Door(delta(1), writable=True))
    nexts: list[Callable[[], object]] = [
        lambda: connect(sockets / "w").shutdown(),
        lambda: connect(sockets / "x").shutdown(),
        lambda: tree.write(delta(1), 0, b"guest"),
    ]
    for following in nexts:
        handle = connect(sockets / "w")
        (server,) = servers()
        os.kill(server, signal.SIGSTOP)
        del handle
        with ThreadPoolExecutor() as pool:
            outcome = pool.submit(following)
            time.sleep(1)
            early = outcome.done()
            os.kill(server, signal.SIGCONT)
            outcome.result()
        assert not early
        eventually(lambda: not servers())
    assert tree.refusals == []


@pytest.mark.parametrize("writable", [True, False])
def test_what_a_client_keeps_from_being_done(
    tree: DiskStore, sockets: Path, writable: bool
) -> None:
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable))
    handle = connect(sockets / "s")
    attempts: list[Callable[[], object]] = [
        lambda: tree.write(delta(1), 0, b"guest"),
        lambda: tree.create_delta(delta(1), delta(2)),
        lambda: tree.merge_into_parent(delta(1)),
        lambda: tree.delete(delta(1)),
        lambda: tree.move(delta(1), delta(9)),
        lambda: tree.reset_tracking(delta(1)),
        lambda: tree.relocate([BASE], "slow disks"),
    ]
    for attempt in attempts:
        with refused("locked"):
            attempt()
    assert tree.list("datastore1") == [delta(1), BASE]
    # The parent is only read: another branch may be made on it, and be read and written.
    tree.create_delta(BASE, delta(3))
    tree.write(delta(3), 0, b"x")
    assert tree.sha256(BASE) != tree.sha256(delta(3))
    handle.shutdown()
    for attempt in attempts[:2]:
        attempt()
    tree.delete(delta(2))


def test_a_reader_of_a_snapshot_does_not_disturb_the_guest(tree: DiskStore, sockets: Path) -> None:
    tree.open_door(sockets / "s", lambda: Door(BASE))
    handle = connect(sockets / "s")
    tree.write(delta(1), 0, b"the guest goes on")
    tree.create_delta(delta(1), delta(2))
    tree.create_delta(BASE, delta(3))
    assert handle.pread(4, 0) == b"base"
    with refused("locked"):
        tree.move(BASE, delta(8))
    handle.shutdown()
    tree.move(BASE, delta(8))


def test_merging_an_open_disk(tmp_path: Path, sockets: Path) -> None:
    """Into its parent, which a client reads: the client sees what was written later."""
    with DiskStore(tmp_path / "lab", habits=None, file_habits=FileHabits(merge_open=True)) as store:
        store.create(BASE, MIB)
        store.enable_tracking(BASE)
        store.write(BASE, 0, b"base" * BLOCK)
        store.create_delta(BASE, delta(1))
        store.write(delta(1), 0, b"later")
        store.open_door(sockets / "s", showing(BASE))
        handle = connect(sockets / "s")
        assert handle.pread(4, 0) == b"base"
        store.merge_into_parent(delta(1))
        assert handle.pread(5, 0) == b"later"
        handle.shutdown()
        store.write(BASE, 3 * BLOCK, b"x")
        assert blocks(store.changed_areas(BASE, "*")) == {0, 1, 2, 3}


def test_growing_an_open_disk(store: DiskStore, sockets: Path) -> None:
    store.create(BASE, MIB)
    store.open_door(sockets / "s", lambda: Door(BASE))
    handle = connect(sockets / "s")
    with refused("locked"):
        store.grow(BASE, 2 * MIB)
    handle.shutdown()
    store.grow(BASE, 2 * MIB)


def test_clients_that_are_refused(tree: DiskStore, sockets: Path) -> None:
    def expired() -> Door:
        raise StorageError("bad-request", "the session has expired")

    def broken() -> Door:
        raise ZeroDivisionError("a fault of ours")

    doors: dict[str, Callable[[], Door]] = {
        "expired": expired,
        "broken": broken,
        "gone": lambda: Door(delta(7)),
        "frozen": lambda: Door(BASE, writable=True),
        "nonsense": lambda: Door(delta(1), writable=True, single_link=True),
    }
    for name, resolve in doors.items():
        tree.open_door(sockets / name, resolve)
        assert is_refused(sockets / name)
    kinds = {refusal.socket.name: refusal.kind for refusal in tree.refusals}
    assert kinds == {
        "expired": "bad-request",
        "broken": "bad-request",
        "gone": "missing",
        "frozen": "locked",
        "nonsense": "bad-request",
    }
    assert "session has expired" in tree.refusals[0].message
    assert servers() == []


def test_a_disk_that_qemu_cannot_open(tree: DiskStore, sockets: Path) -> None:
    with tree.host_path(delta(1)).open("r+b") as file:
        file.seek(40)
        file.write(b"\xff" * 8)
    tree.open_door(sockets / "s", lambda: Door(delta(1)))
    assert is_refused(sockets / "s")
    eventually(lambda: tree.refusals)
    assert tree.refusals[0].kind == "corrupt"
    assert tree.open_count(delta(1)) == 0


def test_a_single_link(tree: DiskStore, sockets: Path) -> None:
    """The delta alone: what its parents hold is absent, its own zeros can be told from that."""
    tree.write_zeros(delta(1), 3 * BLOCK, BLOCK)
    tree.open_door(sockets / "s", lambda: Door(delta(1), single_link=True))
    handle = nbd.NBD()
    handle.add_meta_context("qemu:allocation-depth")
    handle.connect_unix(str(sockets / "s"))
    own = []

    def collect(context: str, offset: int, entries: list[int], error: int) -> int:
        for length, depth in zip(entries[::2], entries[1::2]):
            if depth:
                own.append((offset, length))
            offset += length
        return 0

    handle.block_status(handle.get_size(), 0, collect)
    assert own == [(0, BLOCK), (3 * BLOCK, BLOCK)]
    handle.shutdown()


def test_a_client_that_only_knocks(tree: DiskStore, sockets: Path) -> None:
    """It leaves no server behind that would keep the disk, or show the wrong one, for ever."""
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable=True))
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(sockets / "s"))
    eventually(lambda: tree.open_count(delta(1)) == 0 and not servers())
    tree.write(delta(1), 0, b"free again")
    handle = connect(sockets / "s")
    assert handle.pread(4, 0) == b"free"
    handle.shutdown()


def test_a_client_waits_for_an_operation(tree: DiskStore, sockets: Path) -> None:
    """One at the leaf that the guest writes to, not one at its base; the operation is stopped meanwhile."""
    writes = [(n * BLOCK, bytes([n]) * BLOCK) for n in range(16)] * 150
    tree.open_door(sockets / "leaf", lambda: Door(delta(1)))
    tree.open_door(sockets / "base", lambda: Door(BASE))
    with ThreadPoolExecutor() as pool:
        guest = pool.submit(tree.write_many, delta(1), writes)
        eventually(servers)
        (server,) = servers()
        os.kill(server, signal.SIGSTOP)
        try:
            leaf = pool.submit(connect, sockets / "leaf")
            other = pool.submit(connect, sockets / "base").result(60)
            assert other.pread(4, 0) == b"base"
            other.shutdown()
            assert not guest.done() and not leaf.done()
        finally:
            os.kill(server, signal.SIGCONT)
        guest.result()
        handle = leaf.result()
    assert handle.pread(1, 15 * BLOCK) == b"\x0f"
    handle.shutdown()
    assert tree.refusals == []


def test_a_resolver_that_takes_its_time(tree: DiskStore, sockets: Path) -> None:
    """It keeps other clients waiting, but nobody from working on a disk that was let go."""
    answer = threading.Event()

    def slow() -> Door:
        answer.wait()
        return Door(BASE)

    tree.open_door(sockets / "quick", showing(delta(1), writable=True))
    tree.open_door(sockets / "slow", slow)
    quick = connect(sockets / "quick")
    clients: list[nbd.NBD] = []
    waiting = threading.Thread(target=lambda: clients.append(connect(sockets / "slow")))
    waiting.start()
    time.sleep(0.1)
    quick.pwrite(b"quick", 0)
    quick.shutdown()
    assert tree.read(delta(1), 0, 5) == b"quick"
    answer.set()
    waiting.join()
    assert clients[0].pread(4, 0) == b"base"


def test_closing_a_door(tree: DiskStore, sockets: Path) -> None:
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable=True))
    handle = connect(sockets / "s")
    handle.pwrite(b"written before", 0)
    tree.close_door(sockets / "s")
    assert not (sockets / "s").exists()
    assert tree.open_count(delta(1)) == 0
    with pytest.raises(nbd.Error):
        handle.pread(1, 0)
    assert tree.read(delta(1), 0, 7) == b"written"
    with refused("missing"):
        tree.close_door(sockets / "s")
    tree.open_door(sockets / "s", lambda: Door(BASE))
    again = connect(sockets / "s")
    again.shutdown()


def test_a_socket_that_a_killed_lab_left_behind(tree: DiskStore, sockets: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(sockets / "s"))
    tree.open_door(sockets / "s", showing(BASE))
    handle = connect(sockets / "s")
    assert handle.pread(4, 0) == b"base"


def test_doors_that_cannot_be(tree: DiskStore, sockets: Path) -> None:
    tree.open_door(sockets / "s", lambda: Door(BASE))
    with refused("exists"):
        tree.open_door(sockets / "s", lambda: Door(BASE))
    (sockets / "file").touch()
    with refused("exists"):
        tree.open_door(sockets / "file", lambda: Door(BASE))
    with refused("bad-request"):
        tree.open_door(sockets / ("long" * 30), lambda: Door(BASE))
    with refused("bad-request"):
        tree.open_door(sockets / "no folder" / "s", lambda: Door(BASE))


def test_many_doors(store: DiskStore, sockets: Path) -> None:
    for number in range(150):
        path = f"[datastore1] {number}.vmdk"
        if number % 10 == 0:
            store.create(path, MIB)
            store.write(path, 0, b"%03d" % number)
        else:
            store.create_delta(f"[datastore1] {number - number % 10}.vmdk", path)
        store.open_door(sockets / str(number), showing(path))
    handles = [connect(sockets / str(number)) for number in range(0, 150, 7)]
    for number, handle in zip(range(0, 150, 7), handles):
        assert handle.pread(3, 0) == b"%03d" % (number - number % 10)
        handle.shutdown()
    eventually(lambda: not servers())


def test_closing_the_store(tmp_path: Path, sockets: Path) -> None:
    store = DiskStore(tmp_path / "lab")
    store.create(BASE, MIB)
    store.open_door(sockets / "s", lambda: Door(BASE, writable=True))
    handle = connect(sockets / "s")
    handle.pwrite(b"x", 0)
    store.close()
    store.close()
    assert servers() == []
    assert not (sockets / "s").exists()
    with refused("bad-request"):
        store.open_door(sockets / "s", showing(BASE))
    with DiskStore(tmp_path / "lab") as again:
        assert again.read(BASE, 0, 1) == b"x"


def test_a_writer_that_is_killed_spoils_tracking_only(tree: DiskStore, sockets: Path) -> None:
    start = tree.change_id(BASE)
    assert start is not None
    tree.open_door(sockets / "s", lambda: Door(delta(1), writable=True))
    handle = connect(sockets / "s")
    handle.pwrite(b"flushed", BLOCK)
    handle.flush()
    (server,) = servers()
    kill(server)
    eventually(lambda: tree.open_count(delta(1)) == 0)
    assert tree.refusals[-1].kind == "corrupt"

    assert tree.read(delta(1), BLOCK, 7) == b"flushed"
    for change_id in (start, "*"):
        with refused("corrupt"):
            tree.changed_areas(delta(1), change_id)
    tree.create_delta(delta(1), delta(2))
    tree.write(delta(2), 0, b"2")
    with refused("corrupt"):
        tree.changed_areas(delta(2), start)
    after = tree.change_id(delta(1))
    assert after is not None
    assert blocks(tree.changed_areas(delta(2), after)) == {0}
    tree.merge_into_parent(delta(1))
    tree.merge_into_parent(delta(2))
    tree.create_delta(BASE, delta(2))
    with refused("corrupt"):
        tree.changed_areas(delta(2), start)
    assert tree.changed_areas(delta(2), tree.change_id(BASE) or "") == []
    tree.reset_tracking(delta(2))
    assert blocks(tree.changed_areas(delta(2), "*")) == {0, 1}
