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
from typing import Any

from bareos_vmsnap import errors, extents
from bareos_vmsnap.mover import client
from bareos_vmsnap.mover.client.launch import Launcher

BLOCK = 65536  # bytes
_TIMEOUT = 600  # seconds the audit of one disk may take to end


def sample(
    changed: Iterable[tuple[int, int]], capacity: int, count: int, dice: random.Random
) -> list[tuple[int, int]]:
    """Up to `count` different 64 KiB blocks that touch no changed extent, in disk order."""
    unchanged = list(extents.complement(extents.align(changed, BLOCK, capacity), capacity))
    sizes = [-(-length // BLOCK) for _, length in unchanged]
    ends = list(itertools.accumulate(sizes))
    total = ends[-1] if ends else 0
    found = []
    for number in sorted(dice.sample(range(total), min(count, total))):
        place = bisect.bisect_right(ends, number)
        before = ends[place] - sizes[place]
        start = unchanged[place][0] + (number - before) * BLOCK
        found.append((start, min(BLOCK, capacity - start)))
    return found


def differing(
    plan: dict[str, Any],
    sampled: Sequence[tuple[int, int]],
    cancel: threading.Event,
    launcher: Launcher,
) -> int:
    """How many bytes of the sampled blocks differ between source and base.

    `plan` is a mover's plan to read with a base. Raises errors.BackupError, errors.Canceled.
    """
    if not sampled:
        return 0
    told = {**plan, "method": "audit"}
    try:
        with client.Mover.read(told, sampled, launcher=launcher) as mover:
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
