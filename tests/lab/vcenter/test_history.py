# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Whatever is done to a tree, its snapshots keep their content, and change tracking holds."""

from __future__ import annotations

from typing import Any, Optional

from hypothesis import given, settings
from hypothesis import strategies as st

from vmsnap_lab.lab import Lab

from .client import BLOCK, Client, changed, disk, wait

BLOCKS = 8
KEY = 2000
Content = tuple[int, ...]  # of each block, the byte it is full of

numbers = st.integers(0, 1000)
steps = st.one_of(
    st.tuples(st.just("write"), numbers, st.integers(0, 255)),
    st.tuples(st.just("snapshot"), numbers, numbers),
    st.tuples(st.just("snapshot"), numbers, numbers),
    st.tuples(st.just("revert"), numbers, numbers),
    st.tuples(st.just("remove"), numbers, numbers),
    st.tuples(st.just("remove all"), numbers, numbers),
    st.tuples(st.just("consolidate"), numbers, numbers),
)


class Node:
    def __init__(self, snapshot: Any, content: Content, parent: Optional[Node]) -> None:
        self.snapshot = snapshot
        self.content = content
        self.parent = parent

    def ancestors(self) -> list[Node]:
        return [] if self.parent is None else [self.parent, *self.parent.ancestors()]


class History:
    """A VM, and what it should be like."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.guest, self.vm = client.vm([BLOCKS * BLOCK], network=None)
        self.nodes: list[Node] = []
        self.current: Optional[Node] = None
        self.content: Content = (0,) * BLOCKS

    def do(self, name: str, first: int, second: int) -> None:
        if name == "write":
            self.write(first % BLOCKS, second)
        elif name == "snapshot":
            made = self.client.snapshot(self.vm, f"{len(self.nodes)}")
            self.current = Node(made, self.content, self.current)
            self.nodes.append(self.current)
        elif name == "consolidate":
            wait(self.vm.ConsolidateVMDisks_Task())
        elif name == "remove all":
            if first % 4 == 0:  # not too often
                wait(self.vm.RemoveAllSnapshots_Task())
                self.nodes, self.current = [], None
        elif self.nodes:
            node = self.nodes[first % len(self.nodes)]
            if name == "revert":
                wait(node.snapshot.RevertToSnapshot_Task())
                self.current, self.content = node, node.content
            else:
                self.remove(node, second % 4 == 0, second % 3 != 0)

    def write(self, block: int, value: int) -> None:
        if value:
            self.guest.write(KEY, block * BLOCK, bytes([value]) * BLOCK)
        else:
            self.guest.write_zeros(KEY, block * BLOCK, BLOCK)
        self.content = (*self.content[:block], value, *self.content[block + 1 :])

    def remove(self, node: Node, children: bool, consolidate: bool) -> None:
        wait(node.snapshot.RemoveSnapshot_Task(children, consolidate))
        gone = [known for known in self.nodes if node in known.ancestors()] if children else []
        gone.append(node)
        self.nodes = [known for known in self.nodes if known not in gone]
        for known in self.nodes:
            if known.parent is node:
                known.parent = node.parent
        if self.current in gone:
            self.current = node.parent

    def check(self) -> None:
        shown = self.vm.snapshot
        assert self.parents(shown) == {
            node.snapshot._moId: node.parent.snapshot._moId if node.parent else None
            for node in self.nodes
        }
        current = shown.currentSnapshot if shown else None
        assert current == (self.current.snapshot if self.current else None)
        assert self.read(None) == self.content
        for node in self.nodes:
            assert self.read(node.snapshot._moId) == node.content
            for ancestor in node.ancestors():
                self.check_changes(ancestor, node)

    def parents(self, shown: Any) -> dict[str, Optional[str]]:
        found: dict[str, Optional[str]] = {}

        def visit(nodes: Any, parent: Optional[str]) -> None:
            for node in nodes:
                found[node.snapshot._moId] = parent
                visit(node.childSnapshotList, node.snapshot._moId)

        visit(shown.rootSnapshotList if shown else [], None)
        return found

    def read(self, snapshot: Optional[str]) -> Content:
        data = self.guest.read(KEY, 0, BLOCKS * BLOCK, snapshot)
        blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
        assert all(block == block[:1] * BLOCK for block in blocks)
        return tuple(block[0] for block in blocks)

    def check_changes(self, ancestor: Node, node: Node) -> None:
        """Nothing that differs is missing from the changed areas."""
        areas = changed(self.vm, node.snapshot, ancestor.snapshot, KEY)
        reported = {
            block
            for start, length in areas
            for block in range(start // BLOCK, (start + length) // BLOCK)
        }
        differ = {n for n in range(BLOCKS) if ancestor.content[n] != node.content[n]}
        assert differ <= reported


@settings(max_examples=8, deadline=None)
@given(st.lists(steps, max_size=25))
def test_histories(shared_lab: Lab, script: list[tuple[str, int, int]]) -> None:
    with Client(shared_lab) as client:
        history = History(client)
        for step in script:
            history.do(*step)
        history.check()
        wait(history.vm.ConsolidateVMDisks_Task())
        history.check()
        assert not history.vm.runtime.consolidationNeeded
        folder = history.vm.config.files.vmPathName.rpartition("/")[0]
        wait(history.vm.RemoveAllSnapshots_Task())
        assert history.read(None) == history.content
        assert disk(history.vm.config, KEY).backing.parent is None
        files = shared_lab.store.list("datastore1")
        assert [path for path in files if path.startswith(folder + "/")] == [
            history.guest.path(KEY)
        ]
        wait(history.vm.Destroy_Task())
