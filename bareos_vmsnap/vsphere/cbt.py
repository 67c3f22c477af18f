# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Changed block tracking: asking QueryChangedDiskAreas, page by page, until the disk is covered."""

from __future__ import annotations

import array
import threading
from collections.abc import Iterator
from typing import Any, Optional

from pyVmomi import vim, vmodl

from bareos_vmsnap import errors
from bareos_vmsnap.vsphere import tasks

STAR = "*"
_RETRIES = 3
_RETRY_WAIT = 2  # seconds
# Faults that may be transient: a locked file, a busy host.
_TRANSIENT = (vim.fault.FileLocked, vmodl.fault.SystemError, vim.fault.FileFault)


class CbtRefusedError(errors.VmsnapError):
    """CBT gave no usable answer; the message names the fault."""

    id = "cbt-refused"


class Extents:
    """Changed areas of a disk in ascending order, 16 bytes each: a million of them stay small.

    They do not overlap: an area that begins in the last one prolongs it.
    """

    def __init__(self) -> None:
        self._numbers = array.array("Q")

    def append(self, start: int, length: int) -> None:
        """Add an extent (bytes)."""
        if self._numbers and start < self._numbers[-2]:
            raise CbtRefusedError(f"QueryChangedDiskAreas named areas out of order (at {start})")
        if self._numbers and start < self._numbers[-2] + self._numbers[-1]:
            end = max(start + length, self._numbers[-2] + self._numbers[-1])
            self._numbers[-1] = end - self._numbers[-2]
            return
        self._numbers.append(start)
        self._numbers.append(length)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        numbers = iter(self._numbers)
        return zip(numbers, numbers)

    def __len__(self) -> int:
        return len(self._numbers) // 2

    @property
    def total(self) -> int:
        """The sum of the lengths in bytes."""
        return sum(self._numbers[1::2])

    def covers(self, capacity: int) -> bool:
        """Whether the extents are the whole disk, which for changeId "*" says nothing."""
        return self.total >= capacity


def changed_areas(
    vm: Any,
    snapshot: Any,
    key: int,
    capacity: int,
    change_id: str,
    cancel: Optional[threading.Event] = None,
) -> Extents:
    """The areas of disk `key` at `snapshot` that changed since `change_id` ("*": in use).

    QueryChangedDiskAreas answers for one part of the disk at a time; an empty answer in the middle
    is legal, so only the covered length ends the loop. An area may reach beyond its part, whether or
    not the next answer names the rest: it ends with the disk only. Raises CbtRefusedError, errors.Canceled.
    """
    found = Extents()
    at = 0
    while at < capacity:
        if cancel is not None and cancel.is_set():
            raise errors.Canceled("The query for changed blocks was interrupted")
        page = _query(vm, snapshot, key, at, change_id, cancel or threading.Event())
        if page.startOffset != at or page.length <= 0:
            raise CbtRefusedError(
                f"QueryChangedDiskAreas was asked from offset {at} and answered for "
                f"{page.length} bytes from {page.startOffset}"
            )
        for area in page.changedArea or []:
            if not at <= area.start < capacity or area.length < 0:
                raise CbtRefusedError(
                    f"QueryChangedDiskAreas was asked from offset {at} and named an area of "
                    f"{area.length} bytes at {area.start}; the disk has {capacity}"
                )
            length = min(area.length, capacity - area.start)
            if length:
                found.append(area.start, length)
        at += page.length
    return found


def _query(
    vm: Any, snapshot: Any, key: int, start: int, change_id: str, cancel: threading.Event
) -> Any:
    for attempt in range(_RETRIES):
        try:
            return vm.QueryChangedDiskAreas(
                snapshot=snapshot, deviceKey=key, startOffset=start, changeId=change_id
            )
        except _TRANSIENT as fault:
            if attempt == _RETRIES - 1 or _permanent(fault):
                raise CbtRefusedError(tasks.describe(fault)) from fault
            cancel.wait(_RETRY_WAIT)
        except vim.fault.NotAuthenticated:
            raise
        except vmodl.MethodFault as fault:
            raise CbtRefusedError(tasks.describe(fault)) from fault
    raise AssertionError("unreachable")


def _permanent(fault: Any) -> bool:
    """Whether the fault says that tracking is off, lost or mismatched: retrying is useless."""
    keys = [message.key or "" for message in fault.faultMessage or []]
    return any(key.startswith("vim.hostd.vmsvc.cbt.") for key in keys)
