# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Trees drawn as text, so that tests of planning read like pictures.

    A
      B
      C *
        D

is a root A with the children B and C, D under C; the VM stands at the node with the star.
"""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Optional

from bareos_vmsnap.tree import method_ladder, model, plan_backup, segment_header
from bareos_vmsnap.tree.observed import Observed, Snapshot

CAPACITY = 1 << 30
LEAF = "[ds] vm/leaf.vmdk"
VM = segment_header.Vm("vm", "503a0000-0000-0000-0000-000000000001", "423a0000", "vm-1")


def uuid(letters: str = "52") -> str:
    """The UUID part of a change id."""
    return f"{letters} 2d 7b 8f ac 61 51 cc-77 4c 7b ec 91 50 bb 7b"


def disk(
    path: str, chain: tuple[str, ...], sequence: int, **changes: object
) -> segment_header.Disk:
    """A disk on scsi0:0 with a change id of that sequence."""
    fields = {
        "key": 2000,
        "slot": "scsi0-0",
        "label": "Hard disk 1",
        "path": path,
        "uuid": "6000C29e",
        "capacity": CAPACITY,
        "change_id": f"{uuid()}/{sequence}",
        "chain": chain,
    }
    return segment_header.Disk(**{**fields, **changes})  # type: ignore[arg-type]


def observed(picture: str) -> Observed:
    """The VM of a picture: one tracked disk, snapshots numbered and dated in the picture's order."""
    found: list[Snapshot] = []
    line: list[tuple[int, Snapshot]] = []
    current: Optional[Snapshot] = None
    for number, row in enumerate(textwrap.dedent(picture).strip("\n").splitlines(), 1):
        indent = len(row) - len(row.lstrip())
        name, _, star = row.strip().partition(" ")
        line = [(i, s) for i, s in line if i < indent]
        parent = line[-1][1] if line else None
        snapshot = _snapshot(number, name, parent, len(line) + 1)
        found.append(snapshot)
        line.append((indent, snapshot))
        if star == "*":
            current = snapshot
    depth = len(current.disks[0].chain) + 2 if current else 1
    state = _snapshot(len(found) + 1, "state", current, depth)
    return Observed(VM, tuple(found), current.moref if current else None, state)


def _snapshot(number: int, name: str, parent: Optional[Snapshot], sequence: int) -> Snapshot:
    chain = (parent.disks[0].path, *parent.disks[0].chain) if parent else ()
    return Snapshot(
        moref=f"snapshot-{number}",
        id=number,
        name=name,
        description=f"about {name}",
        created=f"2026-11-{number:02}T10:00:00+00:00",
        parent=parent.moref if parent else None,
        disks=(disk(f"[ds] vm/{number}.vmdk", chain, sequence),),
        config={"name": name},
        cpus=1,
        memory_mb=256,
        change_tracking=True,
    )


def on_day(number: int, picture: str, froze: str = "Z") -> Observed:
    """The picture's VM on a later day: a snapshot's letter is its identity.

    The VM's own disk lies in one file, as after a backup snapshot was deleted, until the snapshot
    `froze` (and others with later letters) was taken, which was after the first day. Each day's job
    leaves a marker M1, M2 …
    """
    seen = observed(picture)
    renamed = {s.moref: f"snapshot-{s.name}" for s in seen.snapshots}
    chains: dict[Optional[str], tuple[str, ...]] = {None: ()}
    snapshots = []
    for s in seen.snapshots:
        letter = ord(s.name) - ord("A") + 1
        moref, parent = renamed[s.moref], renamed.get(s.parent or "")
        path = LEAF if s.name == froze else f"[ds] vm/{s.name}.vmdk"
        sequence = letter + (20 if s.name >= froze else 0)
        found = dataclasses.replace(
            s,
            moref=moref,
            id=letter,
            created=f"2026-10-{letter:02}T10:00:00+00:00",
            parent=parent,
            disks=(disk(path, chains[parent], sequence),),
            markers=("M1",) if s.name >= froze else (),
        )
        snapshots.append(found)
        chains[moref] = (path, *chains[parent])
    current = renamed.get(seen.current or "")
    leaf = "[ds] vm/newer.vmdk" if LEAF in chains[current] else LEAF
    state = dataclasses.replace(
        seen.state,
        moref="snapshot-state",
        id=100 + number,
        parent=current,
        disks=(disk(leaf, chains[current], 20 * number),),
        markers=tuple(f"M{day}" for day in range(number, 0, -1)),
    )
    if froze != "Z":
        state = dataclasses.replace(state, disks=(disk(leaf, chains[current], 60),))
    return dataclasses.replace(
        seen, snapshots=tuple(snapshots), current=current, state=state, marker=f"M{number}"
    )


def short(node: segment_header.Node) -> str:
    """A node's name without its id."""
    return node.directory.rsplit("/", 1)[-1].split("-", 1)[1]


def job(number: int = 1, level: str = "F") -> plan_backup.Job:
    """The job of that number."""
    point = f"T{number}"
    return plan_backup.Job(f"job.{number}", number, level, point, f"2026-11-22T{number:02}:00:00")


def saved(plan: plan_backup.BackupPlan) -> model.BlockTree:
    """The block tree once every segment was sent by its first method."""
    for task in plan.tasks:
        segment = plan_backup.sent(task.segment, task.rungs[0], digest="d")
        plan.tree.segments[segment.name] = segment
    return plan.tree


def backed_up(picture: str) -> model.BlockTree:
    """The block tree after a full backup of the picture's VM."""
    return saved(plan_backup.plan(observed(picture), job(), method_ladder.Policy()))
