# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""The mover's side of the report pipe: JSON lines."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import termios
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from bareos_vmsnap.stream.frame import Totals

PROGRESS_INTERVAL = 1.0
ALIVE_INTERVAL = 5.0

# Nobody reads while the data flows, so progress stops short of filling the pipe: what is left of
# its 64 KiB takes a failure's last line without blocking.
_PROGRESS_LIMIT = 32 << 10
_MESSAGE_LIMIT = 8 << 10


class Reporter:
    """Writes lines that say `queued`, `admitted`, `alive`, `ready`, progress, or how it all ended."""

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

    def progress(self, done: int, total: Optional[int], stored: int) -> None:
        """Tell bytes done, bytes to do (None if unknown) and bytes stored, unless nobody reads."""
        waiting = fcntl.ioctl(self._descriptor, termios.FIONREAD, struct.pack("i", 0))
        if struct.unpack("i", waiting)[0] < _PROGRESS_LIMIT:
            self._write({"bytes": done, "total": total, "stored": stored})

    def success(self, fields: Mapping[str, Any]) -> None:
        """Tell the totals; may wait for a reader."""
        self._write({"ok": True, **fields})

    def failure(self, kind: str, message: str) -> None:
        """Tell what went wrong; never waits."""
        self._write({"ok": False, "error": kind, "message": message[:_MESSAGE_LIMIT]})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._told = time.monotonic()
        rest = memoryview(json.dumps(line).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            return  # the client is gone, and lifeline ends this process


def totals_fields(
    totals: Totals, stream_bytes: int, header: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    """Return what the report of a success tells of a segment."""
    return {
        **totals._asdict(),
        "digest": totals.digest.hex(),
        "stream_bytes": stream_bytes,
        "header": dict(header),
        "notes": notes,
    }
