# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The audit: blocks that CBT calls unchanged are read at both ends and compared."""

from __future__ import annotations

import bisect
import itertools
import os
import random
import select
import threading
from collections.abc import Iterable, Sequence

from bareos_vmsnap import errors, extents, method_names
from bareos_vmsnap.extents import CBT_BLOCK
from bareos_vmsnap.fd.methods.edge import DiskEdge, Reading
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client import Launcher
from bareos_vmsnap.mover.plan import ReadPlan
from bareos_vmsnap.tree.method_ladder import Rung
from bareos_vmsnap.vsphere import cbt

_TIMEOUT = 600  # seconds the audit of one disk may take to end


def sample(
    changed: Iterable[tuple[int, int]], capacity: int, count: int, dice: random.Random
) -> list[tuple[int, int]]:
    """Up to `count` different 64 KiB blocks that touch no changed extent, in disk order."""
    unchanged = list(extents.complement(extents.align(changed, CBT_BLOCK, capacity), capacity))
    sizes = [-(-length // CBT_BLOCK) for _, length in unchanged]
    ends = list(itertools.accumulate(sizes))
    total = ends[-1] if ends else 0
    found = []
    for number in sorted(dice.sample(range(total), min(count, total))):
        place = bisect.bisect_right(ends, number)
        before = ends[place] - sizes[place]
        start = unchanged[place][0] + (number - before) * CBT_BLOCK
        found.append((start, min(CBT_BLOCK, capacity - start)))
    return found


class CbtWrongError(errors.VmsnapError):
    """CBT calls blocks unchanged that differ."""

    id = "audit-mismatch"


def check(edge: DiskEdge, areas: cbt.Extents) -> None:
    """Compare some blocks CBT calls unchanged, if the option audit is set and the base is readable.

    Raises CbtWrongError if one differs (the ladder's next method is used then), errors.BackupError,
    errors.Canceled.
    """
    reader = edge.reader
    if not reader.options.audit or edge.base is None:
        return
    blocks = sample(areas, edge.disk.capacity, reader.options.audit, random.Random())
    plan = edge.plan(Reading(Rung(method_names.AUDIT, ""), (), 0, base=edge.describe_base()))
    found = differing(plan, blocks, reader.cancel, reader.launcher)
    if found:
        raise CbtWrongError(
            f"the audit found {found} bytes of {len(blocks)} sampled blocks changed that CBT calls "
            "unchanged"
        )


def differing(
    plan: ReadPlan,
    blocks: Sequence[tuple[int, int]],
    cancel: threading.Event,
    launcher: Launcher,
) -> int:
    """How many bytes of these blocks differ between source and base; `plan` has the method audit.

    Raises errors.BackupError, errors.Canceled.
    """
    if not blocks:
        return 0
    try:
        with client.Mover.read(plan, blocks, launcher=launcher) as mover:
            mover.wait_ready(client.OPEN_TIMEOUT, canceled=cancel.is_set)
            _drain(mover.data_fd, cancel)
            report = mover.finish(_TIMEOUT)
    except client.MoverError as error:
        if cancel.is_set():
            raise errors.Canceled("The audit was interrupted: the job was canceled") from error
        raise errors.BackupError(
            f"The audit of changed block tracking failed: {error}", id="audit-failed"
        ) from error
    return report.data_bytes + report.zero_bytes


def _drain(descriptor: int, cancel: threading.Event) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        if cancel.is_set():
            raise errors.Canceled("The audit was interrupted: the job was canceled")
        if poll.poll(500) and not os.read(descriptor, 1 << 20):
            return
