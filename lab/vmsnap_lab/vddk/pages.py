# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Pages of memory shared with the library, so that reads and writes need not ask the lab.

The layouts are those of libvixDiskLib/pages.h.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

_WORD = struct.Struct("=Q")
_SIGNED = struct.Struct("=q")

SWITCHES = (
    *("delay", "idle", "largest_request", "most_in_flight", "all_allocated", "hidden", "seed"),
    *("own_files", "error"),
)
FAILURES = ("Read", "Write", "Flush", "QueryAllocatedBlocks")
LEDGER = (
    *("reads", "read_bytes", "largest_read", "writes", "written_bytes", "largest_write"),
    *("flushes", "unflushed_writes", "queries", "failures", "in_flight", "most_in_flight"),
    *("last_call", "write_error"),
)


class SharedPage:
    """A file of one page in shared memory; aligned words change at once, not byte by byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def get(self, word: int) -> int:
        return _WORD.unpack_from(self._map, word * _WORD.size)[0]

    def set(self, word: int, value: int) -> None:
        form = _SIGNED if value < 0 else _WORD
        form.pack_into(self._map, word * _WORD.size, value)

    def close(self) -> None:
        self._map.close()
        self.path.unlink(missing_ok=True)


class Switches(SharedPage):
    def turn(self, name: str, value: int) -> None:
        self.set(SWITCHES.index(name), value)

    def fail(self, call: str, error: int, skip: int, times: int) -> None:
        """A new failure of a call takes the place of the one before."""
        first = len(SWITCHES) + 3 * FAILURES.index(call)
        self.set(first + 1, 0)
        self.set(first, skip)
        self.set(first + 2, error)
        self.set(first + 1, times)

    def forgive(self) -> None:
        for call in FAILURES:
            self.fail(call, 0, 0, 0)


class Counts(NamedTuple):
    """What was done with a disk since it was opened. Bytes; in_flight is of this moment.

    unflushed_writes: those that no flush has followed. failures: calls that failed.
    last_call: time.monotonic_ns().
    """

    reads: int
    read_bytes: int
    largest_read: int
    writes: int
    written_bytes: int
    largest_write: int
    flushes: int
    unflushed_writes: int
    queries: int
    failures: int
    in_flight: int
    most_in_flight: int
    last_call: int


class Ledger(SharedPage):
    def counts(self) -> Counts:
        return Counts(*(self.get(word) for word in range(len(Counts._fields))))

    def refuse_writes(self, error: int) -> None:
        self.set(LEDGER.index("write_error"), error)
