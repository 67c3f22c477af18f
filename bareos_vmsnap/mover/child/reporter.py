# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover's side of the report pipe: JSON lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bareos_vmsnap.stream.frame import Totals

ALIVE_INTERVAL = 5.0

_MESSAGE_LIMIT = 8 << 10


class Reporter:
    """Writes the lines `queued`, `admitted`, `alive`, `ready`, and the outcome."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._last_sent = time.monotonic()

    def ready(self) -> None:
        """Report that the disks are open and data can flow."""
        self._write({"ready": True})

    def queued(self, scope: str) -> None:
        """Report that this mover waits for a connection to `scope`, as others have them all."""
        self._write({"queued": scope})

    def admitted(self, seconds: float) -> None:
        """Report that it no longer waits, and for how long it did."""
        self._write({"admitted": round(seconds, 1)})

    def alive(self) -> None:
        """Report now and then that opening the disks makes progress."""
        if time.monotonic() - self._last_sent >= ALIVE_INTERVAL:
            self._write({"alive": True})

    def success(self, fields: Mapping[str, Any]) -> None:
        """Report the totals; may wait for a reader."""
        self._write({"ok": True, **fields})

    def failure(self, message: str, *, id: str) -> None:
        """Report what went wrong, with the message's id; never waits."""
        self._write({"ok": False, "error": id, "message": message[:_MESSAGE_LIMIT]})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._last_sent = time.monotonic()
        rest = memoryview(json.dumps(line).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            return  # the client is gone, and parent_watch ends this process


def totals_fields(totals: Totals, stream_bytes: int, notes: list[str]) -> dict[str, Any]:
    """Return the fields about a segment in the report of a success."""
    return {
        **totals._asdict(),
        "digest": totals.digest.hex(),
        "stream_bytes": stream_bytes,
        "notes": notes,
    }
