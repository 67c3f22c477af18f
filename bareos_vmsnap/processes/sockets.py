# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Local sockets that take much at a time (standard library only: this runs inside bareos-fd)."""

from __future__ import annotations

import socket

# What the kernel takes before the other side does. By default that is 208 KiB, which is much less
# than a request or a frame: both sides then wait for each other, and wake each other up, several
# times for each.
SEND_BUFFER = 512 << 10
_SO_SNDBUFFORCE = 32  # of Linux; beyond the limit that is set for others than root


def widen(connection: socket.socket) -> None:
    """Let a socket of this machine take more before it is read; others find the right size."""
    if connection.family != socket.AF_UNIX:
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER)
    except OSError:  # not root: as much as others may have
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
