# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Random histories of a disk: content and tracking against an independent reference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Union

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from vmsnap_lab.storage import CbtHabits, DiskStore

from .helpers import BASE, BLOCK, blocks, delta, refused
from .reference import Disk, Moment

offsets = st.integers(0, 24 * BLOCK)
payloads = st.one_of(
    st.integers(0, 5 * BLOCK),
    st.builds(
        lambda byte, length: bytes([byte]) * length,
        st.integers(1, 255),
        st.one_of(st.integers(1, 2000), st.just(BLOCK), st.integers(BLOCK, 3 * BLOCK)),
    ),
)


class History(RuleBasedStateMachine):
    """The working state of a VM with one disk, its snapshots, and a backup that looks on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="history-")
        self.disks: dict[str, Disk] = {}
        self.number = 0
        self.store = DiskStore(Path(self.folder.name))

    @initialize(
        sectors=st.integers(1, 24 * BLOCK // 512), revert_uuid=st.sampled_from(["keep", "new"])
    )
    def create(self, sectors: int, revert_uuid: Any) -> None:
        self.habits = CbtHabits(revert_uuid=revert_uuid, stray_id="fails")
        self.reopen()
        self.store.create(BASE, sectors * 512)
        self.store.enable_tracking(BASE)
        self.disks[BASE] = Disk(bytearray(sectors * 512))

    def teardown(self) -> None:
        for path, disk in self.disks.items():
            assert self.store.read(path, 0, len(disk.content)) == disk.content
        self.store.close()
        self.folder.cleanup()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = DiskStore(Path(self.folder.name), habits=self.habits)

    @rule(data=st.data(), writes=st.lists(st.tuples(offsets, payloads), min_size=1, max_size=4))
    def write(self, data: st.DataObject, writes: list[tuple[int, Union[bytes, int]]]) -> None:
        path = self.pick(data, [path for path, disk in self.disks.items() if not disk.frozen])
        disk = self.disks[path]
        fitting = [(offset % len(disk.content), payload) for offset, payload in writes]
        fitting = [(o, cut(payload, len(disk.content) - o)) for o, payload in fitting]
        self.store.write_many(path, fitting)
        for offset, payload in fitting:
            disk.write(offset, payload)

    @rule(data=st.data())
    def snapshot(self, data: st.DataObject) -> None:
        self.derive(self.pick(data, [p for p, disk in self.disks.items() if not disk.frozen]))

    @precondition(lambda self: any(disk.frozen for disk in self.disks.values()))
    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        self.derive(self.pick(data, [p for p, disk in self.disks.items() if disk.frozen]))

    def derive(self, parent: str) -> None:
        self.number += 1
        below = self.disks[parent]
        new_uuid = below.frozen and self.habits.revert_uuid == "new"
        self.store.create_delta(parent, delta(self.number))
        change_id = self.store.change_id(parent)
        assert change_id is not None
        below.frozen = True
        moment = Moment(change_id, bytes(below.content))
        self.disks[delta(self.number)] = below.delta(parent, moment, new_uuid)

    @precondition(lambda self: len(self.disks) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        path = self.pick(data, [path for path, disk in self.disks.items() if disk.parent])
        disk = self.disks[path]
        assert disk.parent is not None
        if len(self.children(disk.parent)) > 1:
            with refused("has-children"):
                self.store.merge_into_parent(path)
            return
        assert self.store.merge_into_parent(path) == disk.parent
        for child in self.children(path):
            self.disks[child].parent = disk.parent
        parent = self.disks[disk.parent]
        parent.content, parent.frozen, parent.past = disk.content, disk.frozen, disk.past
        del self.disks[path]

    @precondition(lambda self: len(self.disks) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        path = self.pick(data, list(self.disks))
        if self.children(path):
            with refused("has-children"):
                self.store.delete(path)
        elif path != BASE:
            self.store.delete(path)
            del self.disks[path]

    @rule(data=st.data())
    def look_at_content(self, data: st.DataObject) -> None:
        path = self.pick(data, list(self.disks))
        assert self.store.read(path, 0, len(self.disks[path].content)) == self.disks[path].content

    @rule()
    def look_at_the_tree(self) -> None:
        assert set(self.store.list("datastore1")) == set(self.disks)
        for path, disk in self.disks.items():
            assert self.store.parent(path) == disk.parent
            assert self.store.is_frozen(path) == disk.frozen
            assert self.store.children(path) == self.children(path)

    @rule(data=st.data())
    def look_at_changes(self, data: st.DataObject) -> None:
        path = self.pick(data, list(self.disks))
        disk = self.disks[path]
        assert blocks(self.store.changed_areas(path, "*")) == disk.written_since(None)
        for moment in disk.moments():
            found = blocks(self.store.changed_areas(path, moment.change_id))
            assert disk.differs_from(moment) <= found
            assert found == disk.written_since(moment)

    @rule(data=st.data())
    def look_from_another_branch(self, data: st.DataObject) -> None:
        path = self.pick(data, list(self.disks))
        own = {moment.change_id for moment in self.disks[path].moments()}
        own.add(self.store.change_id(path) or "")
        others = {moment.change_id for disk in self.disks.values() for moment in disk.moments()}
        for change_id in others - own:
            with refused("cannot-get-changes"):
                self.store.changed_areas(path, change_id)

    def pick(self, data: st.DataObject, paths: list[str]) -> str:
        if not paths:  # all branches are frozen: start a new one
            self.derive(BASE)
            return delta(self.number)
        return data.draw(st.sampled_from(sorted(paths)))

    def children(self, path: str) -> list[str]:
        return sorted(each for each, disk in self.disks.items() if disk.parent == path)


def cut(payload: Union[bytes, int], length: int) -> Union[bytes, int]:
    return min(payload, length) if isinstance(payload, int) else payload[:length]


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
