# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Pipes and socket pairs between this process and a child (standard library only)."""

from __future__ import annotations

import os
import socket
import weakref

from bareos_vmsnap.processes import sockets


class Pipe:
    """A pipe with one end for a child; ours is closed by `close`, or with its owner."""

    def __init__(self, owner: object, ours: str):
        """`ours`: "read" or "write"."""
        reading, writing = os.pipe()
        self.ours, self.theirs = (reading, writing) if ours == "read" else (writing, reading)
        self.close = weakref.finalize(owner, os.close, self.ours)


class Channel:
    """A pair of sockets used like a pipe, at half its cost for each byte (docs/performance.md).

    The kernel allocates a pipe's memory page by page.
    """

    def __init__(self, owner: object, ours: str):
        """`ours`: "read" or "write"."""
        reading, writing = socket.socketpair()
        sockets.widen(writing)
        reading.shutdown(socket.SHUT_WR)
        mine, other = (reading, writing) if ours == "read" else (writing, reading)
        self.ours, self.theirs = mine.detach(), other.detach()
        self.close = weakref.finalize(owner, os.close, self.ours)
