# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Local sockets with large buffers (standard library only: this runs inside bareos-fd)."""

from __future__ import annotations

import socket

# Bytes that the kernel buffers. The default is 208 KiB, much less than a request or a frame: both
# sides would wait for each other, and wake each other up, several times for each.
SEND_BUFFER = 512 << 10
_SO_SNDBUFFORCE = 32  # of Linux; ignores the limit for users other than root


def widen(connection: socket.socket) -> None:
    """Enlarge the send buffer of a local socket; the kernel sizes those of other sockets."""
    if connection.family != socket.AF_UNIX:
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER)
    except OSError:  # not root: as much as the limit allows
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
