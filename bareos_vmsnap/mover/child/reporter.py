# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover's side of the report pipe: JSON lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bareos_vmsnap import dataclass_json
from bareos_vmsnap.mover.report import Admitted, Alive, Event, Failure, Queued, Ready, Report

if TYPE_CHECKING:
    from bareos_vmsnap.stream.frame import Totals

ALIVE_INTERVAL = 5.0

_MESSAGE_LIMIT = 8 << 10


class Reporter:
    """Writes what happens, an event of mover.report a line, up to the outcome."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._last_sent = time.monotonic()

    def ready(self) -> None:
        """Report that the disks are open and data can flow."""
        self._write(Ready())

    def queued(self, scope: str) -> None:
        """Report that this mover waits for a connection to `scope`, as others have them all."""
        self._write(Queued(scope))

    def admitted(self, scope: str, seconds: float) -> None:
        """Report that it no longer waits, and for how long it did."""
        self._write(Admitted(scope, round(seconds, 1)))

    def alive(self) -> None:
        """Report now and then that opening the disks makes progress."""
        if time.monotonic() - self._last_sent >= ALIVE_INTERVAL:
            self._write(Alive())

    def success(self, report: Report) -> None:
        """Report the totals; may wait for a reader."""
        self._write(report)

    def failure(self, message: str, *, id: str) -> None:
        """Report what went wrong, with the message's id; never waits."""
        self._write(Failure(message[:_MESSAGE_LIMIT], id))

    def _write(self, event: Event) -> None:
        self._last_sent = time.monotonic()
        rest = memoryview(json.dumps(dataclass_json.encode(event)).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            return  # the client is gone, and parent_watch ends this process


def report(totals: Totals, stream_bytes: int, notes: Sequence[str] = ()) -> Report:
    """The report of a segment that was moved whole."""
    return Report(
        frames=totals.frames,
        data_bytes=totals.data_bytes,
        zero_bytes=totals.zero_bytes,
        stored_bytes=totals.stored_bytes,
        stream_bytes=stream_bytes,
        digest=totals.digest.hex(),
        notes=tuple(notes),
    )
