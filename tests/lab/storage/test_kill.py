# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a lab that was killed leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbd
import pytest

import bareos_vmsnap
from vmsnap_lab.storage import DiskStore, Extent, StorageError

from . import lab_process
from .helpers import BLOCK, blocks, eventually, is_running, refused, servers
from .lab_process import BASE, LEAF, MIDDLE

DATASTORES = ["datastore1", "datastore2"]
NEW = "[datastore1] vm/new.vmdk"
OTHER = "[datastore1] vm/other.vmdk"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """BASE - MIDDLE - LEAF, and OTHER, a leaf on MIDDLE."""
    with DiskStore(tmp_path / "lab", DATASTORES) as store:
        store.create(BASE, 1 << 20)
        store.enable_tracking(BASE)
        store.write(BASE, 0, b"base" * 50_000)
        store.create_delta(BASE, MIDDLE)
        store.write_many(MIDDLE, [(1, b"middle"), (5 * BLOCK, b"middle")])
        store.create_delta(MIDDLE, LEAF)
        store.write_many(LEAF, [(2, b"leaf"), (BLOCK, BLOCK)])
    return tmp_path / "lab"


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, lab_process.__file__, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(bareos_vmsnap.__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_servers_die_with_the_lab_and_close_their_disks(root: Path, sockets: Path) -> None:
    lab = start(str(root), "serve", str(sockets / "s"))
    assert lab.stdout is not None
    assert lab.stdout.readline() == "ready\n"
    handle = nbd.NBD()
    handle.connect_unix(str(sockets / "s"))
    handle.pwrite(b"w" * BLOCK, 7 * BLOCK)
    (server,) = servers(lab.pid)
    lab.kill()
    lab.communicate()
    with DiskStore(root, DATASTORES) as store:  # waits for the server
        assert not is_running(server)
        assert store.read(LEAF, 7 * BLOCK, BLOCK) == b"w" * BLOCK
        assert blocks(store.changed_areas(LEAF, store.change_id(MIDDLE) or "")) == {0, 1, 7}
    eventually(lambda: not is_running(server))


def test_one_store_at_a_time(root: Path) -> None:
    with DiskStore(root, DATASTORES), refused("locked"):
        DiskStore(root, DATASTORES)
    DiskStore(root, DATASTORES).close()


def test_a_record_that_cannot_be_read(root: Path) -> None:
    (root / "datastore1/vm/leaf.vmdk.json").write_text('{"version":1')
    with refused("corrupt"):
        DiskStore(root, DATASTORES)


def test_a_disk_without_record(root: Path) -> None:
    (root / "datastore1/vm/middle.vmdk.json").unlink()
    with DiskStore(root, DATASTORES) as store:
        assert store.chain(LEAF) == [LEAF, MIDDLE, BASE]
        assert store.change_id(MIDDLE) is None
        with refused("locked"):
            store.write(MIDDLE, 0, b"x")


@dataclass
class Before:
    """What was there: digests of the leaves, and their changes since two moments."""

    digests: dict[str, str]
    changed: dict[tuple[str, str], list[Extent]]

    @classmethod
    def of(cls, store: DiskStore, leaves: list[str]) -> Before:
        moments = [store.change_id(BASE) or "", store.change_id(MIDDLE) or ""]
        return cls(
            {leaf: store.sha256(leaf) for leaf in leaves},
            {
                (leaf, moment): store.changed_areas(leaf, moment)
                for leaf in leaves
                for moment in moments
            },
        )

    def check(self, store: DiskStore, losses: set[str]) -> None:
        """Tracking data may be lost, as in a power failure, in the named ways; it never lies."""
        for leaf, digest in self.digests.items():
            assert store.sha256(where(store, leaf)) == digest
        for (leaf, moment), areas in self.changed.items():
            try:
                assert store.changed_areas(where(store, leaf), moment) == areas
            except StorageError as error:
                assert error.kind in losses, error


def where(store: DiskStore, leaf: str) -> str:
    """The disk that has a leaf's content now."""
    for path in (leaf, leaf.replace("datastore1", "datastore2"), MIDDLE):
        if store.exists(path):
            return path
    raise AssertionError(f"{leaf} is lost")


def die_at_every_step(
    root: Path, operation: str, leaves: list[str]
) -> Iterator[tuple[DiskStore, Before]]:
    """The store opened again, and what was there, for every step at which the lab can die."""
    with DiskStore(root, DATASTORES) as store:
        before = Before.of(store, leaves)
    output = ""
    step = 0
    while output != "done\n":
        step += 1
        copy = root.with_name(f"{operation}-{step}")
        shutil.copytree(root, copy)
        output, _ = start(str(copy), "at", str(step), operation).communicate(timeout=300)
        with DiskStore(copy, DATASTORES) as store:
            yield store, before
        shutil.rmtree(copy)
    assert step > 2


def test_killed_in_a_snapshot(root: Path) -> None:
    for store, before in die_at_every_step(root, "snapshot", [LEAF]):
        before.check(store, set())
        if store.exists(NEW):
            assert store.is_frozen(LEAF)
            store.delete(NEW)
        else:
            store.write(LEAF, 0, b"the guest goes on")
        store.create_delta(LEAF, NEW)


def test_killed_in_a_merge_of_the_leaf(root: Path) -> None:
    for store, before in die_at_every_step(root, "merge the leaf", [LEAF]):
        before.check(store, {"corrupt"})
        if store.exists(LEAF):
            store.merge_into_parent(LEAF)
        assert store.list("datastore1") == [MIDDLE, BASE]
        before.check(store, {"corrupt"})
        store.write(MIDDLE, 0, b"the guest goes on")


def test_killed_in_a_merge_in_the_middle(root: Path) -> None:
    with DiskStore(root, DATASTORES) as store:
        store.create_delta(MIDDLE, OTHER)
        store.write(OTHER, 3, b"other")
    for store, before in die_at_every_step(root, "merge in the middle", [LEAF, OTHER]):
        before.check(store, set())
        if store.exists(MIDDLE):
            store.merge_into_parent(MIDDLE)
        assert store.children(BASE) == [LEAF, OTHER]
        before.check(store, set())


def test_a_merge_that_was_not_finished(root: Path) -> None:
    """The parent says that it is in between; the child can still be read and merged."""
    found = 0
    for store, before in die_at_every_step(root, "merge in the middle", [LEAF]):
        try:
            store.read(BASE, 0, 1)
        except StorageError as error:
            found += error.kind == "corrupt"
            for attempt in (
                lambda store=store: store.relocate([BASE, MIDDLE], "datastore2"),
                lambda store=store: store.create_delta(BASE, NEW),
            ):
                with refused("corrupt"):
                    attempt()
            before.check(store, set())
    assert found


def test_killed_in_a_deletion(root: Path) -> None:
    for store, before in die_at_every_step(root, "delete", [LEAF]):
        if store.exists(LEAF):
            before.check(store, set())
        else:
            assert store.children(MIDDLE) == []
            store.create_delta(MIDDLE, LEAF)


@pytest.mark.parametrize("operation", ["move", "relocate"])
def test_killed_in_a_move(root: Path, operation: str) -> None:
    for store, before in die_at_every_step(root, operation, [LEAF]):
        before.check(store, set())
        disks = store.list("datastore1") + store.list("datastore2")
        assert len(disks) == 3  # no disk has two names
        store.write(where(store, LEAF), 0, b"the guest goes on")


def test_killed_in_a_reset(root: Path) -> None:
    for store, before in die_at_every_step(root, "reset", [LEAF]):
        before.check(store, {"no-track", "cannot-get-changes"})
        store.reset_tracking(LEAF)
