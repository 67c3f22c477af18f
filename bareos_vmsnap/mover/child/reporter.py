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
    """Writes lines that say `queued`, `admitted`, `alive`, `ready`, or how it all ended."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._told = time.monotonic()

    def ready(self) -> None:
        """Tell that the disks are open and data can flow."""
        self._write({"ready": True})

    def queued(self, scope: str) -> None:
        """Tell that this mover waits for a connection to `scope` that others have."""
        self._write({"queued": scope})

    def admitted(self, seconds: float) -> None:
        """Tell that it waits no longer, and how long it did."""
        self._write({"admitted": round(seconds, 1)})

    def alive(self) -> None:
        """Tell now and then that there is no standstill, while the disks are made ready."""
        if time.monotonic() - self._told >= ALIVE_INTERVAL:
            self._write({"alive": True})

    def success(self, fields: Mapping[str, Any]) -> None:
        """Tell the totals; may wait for a reader."""
        self._write({"ok": True, **fields})

    def failure(self, message: str, *, id: str) -> None:
        """Tell what went wrong, and the id of that message; never waits."""
        self._write({"ok": False, "error": id, "message": message[:_MESSAGE_LIMIT]})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._told = time.monotonic()
        rest = memoryview(json.dumps(line).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            return  # the client is gone, and lifeline ends this process


def totals_fields(totals: Totals, stream_bytes: int, notes: list[str]) -> dict[str, Any]:
    """Return what the report of a success tells of a segment."""
    return {
        **totals._asdict(),
        "digest": totals.digest.hex(),
        "stream_bytes": stream_bytes,
        "notes": notes,
    }
