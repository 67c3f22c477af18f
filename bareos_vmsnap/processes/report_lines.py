# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What a child reports on a pipe: JSON objects, one per line (standard library only)."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any


class ReportLines:
    """Reads from a descriptor that belongs to its caller. `ended`: the child has closed its end."""

    def __init__(self, descriptor: int) -> None:
        self.ended = False
        self._descriptor = descriptor
        self._unparsed = b""

    def wait(self, deadline: float) -> bool:
        """Whether there is data or the end before `deadline` (of time.monotonic); waits for it."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def read(self) -> list[dict[str, Any]]:
        """The objects that have arrived; waits if there are no bytes to read."""
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._unparsed = (self._unparsed + data).split(b"\n")
        return [json.loads(line) for line in lines]
