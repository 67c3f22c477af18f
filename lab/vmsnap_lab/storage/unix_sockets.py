# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Who listens at unix sockets of this host, and who is connected to them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from pathlib import Path

# /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path. A connection that the server has
# not accepted yet has no socket of its own: it is shown as connecting. The client's end holds the
# third reference; a server that is slow to notice that its client has gone has two.
_REFERENCES, _STATE, _PATH = 1, 5, 7
_CONNECTING, _CONNECTED = "02", "03"


def count(paths: Collection[Path]) -> dict[Path, tuple[int, int]]:
    """(accepted, pending) connections of clients that are there to servers listening at these paths."""
    found = {str(path): [0, 0] for path in paths}
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=_PATH)
        if len(fields) > _PATH and fields[_PATH] in found and int(fields[_REFERENCES], 16) > 2:
            if fields[_STATE] == _CONNECTED:
                found[fields[_PATH]][0] += 1
            elif fields[_STATE] == _CONNECTING:
                found[fields[_PATH]][1] += 1
    return {path: (found[str(path)][0], found[str(path)][1]) for path in paths}


def is_abandoned(path: Path) -> bool:
    """Whether there is a socket whose server has gone."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == errno.ECONNREFUSED
