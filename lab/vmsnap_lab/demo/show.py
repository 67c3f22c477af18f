# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the demo shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from vmsnap_lab.demo.fingerprints import NodeFingerprint
from vmsnap_lab.filedaemon import JobResult, Message
from vmsnap_lab.vcenter.registry import moid_of

_COLOURS = {"M_WARNING": "yellow", "M_ERROR": "red", "M_FATAL": "bold red"}


class Show:
    """Prints to one console."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._step = 0

    def step(self, text: str) -> None:
        """Begin a step."""
        self._step += 1
        self.console.print(f"\n[bold cyan]{self._step}. {escape(text)}")

    def note(self, text: str) -> None:
        """A line within a step."""
        self.console.print(f"   {escape(text)}")

    def message(self, message: Message) -> None:
        """A line of the job log, as it comes."""
        colour = _COLOURS.get(message.type, "dim")
        self.console.print(f"   [{colour}]{escape(message.text.rstrip())}[/]", soft_wrap=True)

    def job(self, job: JobResult) -> None:
        """How a job ended."""
        colour = "green" if job.status == "T" else "bold red"
        size = f"{job.bytes / (1 << 20):.1f} MiB in {len(job.files)} files"
        self.console.print(
            f"   [{colour}]Job {job.jobid} {job.level}: status {job.status}[/], {size}"
        )

    def tree(self, vm: Any, sizes: dict[str, int]) -> None:
        """The snapshot tree with what each snapshot's own files take on the datastore."""
        info = vm.snapshot
        current = moid_of(info.currentSnapshot) if info and info.currentSnapshot else None
        root = Tree(f"   [bold]{escape(vm.name)}")
        pending = [(root, node) for node in (info.rootSnapshotList if info else [])]
        here = root
        while pending:
            branch, node = pending.pop(0)
            twig = branch.add(_label(node, sizes.get(moid_of(node.snapshot))))
            here = twig if moid_of(node.snapshot) == current else here
            pending += [(twig, child) for child in node.childSnapshotList or []]
        here.add("[bold green]● the VM stands here")
        self.console.print(root)

    def comparison(
        self, before: Sequence[NodeFingerprint], after: Sequence[NodeFingerprint]
    ) -> bool:
        """Print the proof, a row for every node and disk; return whether all is the same."""
        table = Table(title="Before and after", title_justify="left")
        for column in (
            "node",
            "CPU",
            "MiB",
            "disk",
            "bytes",
            "SHA-256 before",
            "SHA-256 after",
            "",
        ):
            table.add_column(column, overflow="fold")
        same = len(before) == len(after)
        for number in range(max(len(before), len(after))):
            old = before[number] if number < len(before) else None
            new = after[number] if number < len(after) else None
            same = _rows(table, old, new) and same
        self.console.print(table)
        return same


def _label(node: Any, size: Optional[int]) -> str:
    hardware = node.snapshot.config.hardware
    sizing = f"{hardware.numCPU} CPU, {hardware.memoryMB} MiB"
    disks = f", {size / (1 << 20):.1f} MiB on disk" if size is not None else ""
    described = f" [dim]{escape(node.description.splitlines()[0])}[/]" if node.description else ""
    return f"{escape(node.name)}{described} ({sizing}{disks})"


def _rows(table: Table, old: Optional[NodeFingerprint], new: Optional[NodeFingerprint]) -> bool:
    face = old or new
    assert face is not None
    same_node = old is not None and new is not None and _without_disks(old) == _without_disks(new)
    name = ("  " * max(0, len(face.path) - 1)) + face.name + (" *" if face.current else "")
    slots = (
        {d[0]: d for d in (old.disks if old else ())},
        {d[0]: d for d in (new.disks if new else ())},
    )
    all_same = same_node
    for slot in sorted({*slots[0], *slots[1]}):
        one, other = slots[0].get(slot), slots[1].get(slot)
        same = same_node and one == other
        all_same = all_same and same
        shown = one or other
        assert shown is not None
        table.add_row(
            escape(name),
            str(face.cpus),
            str(face.memory_mb),
            slot,
            str(shown[1]),
            one[2][:16] + "…" if one else "[red]missing",
            other[2][:16] + "…" if other else "[red]missing",
            "[green]same" if same else "[bold red]DIFFERENT",
        )
    return all_same


def _without_disks(face: NodeFingerprint) -> tuple[object, ...]:
    return (face.path, face.name, face.description, face.current, face.cpus, face.memory_mb)
