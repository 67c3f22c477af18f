# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Numbers of VIX errors, from VMware's public list; their texts are in libvixDiskLib/errors.c."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class VixError(enum.IntEnum):
    OK = 0
    FAIL = 1
    OUT_OF_MEMORY = 2
    INVALID_ARG = 3
    FILE_NOT_FOUND = 4
    NOT_SUPPORTED = 6
    FILE_ERROR = 7
    DISK_FULL = 8
    FILE_READ_ONLY = 11
    FILE_ACCESS_ERROR = 13
    FILE_ALREADY_LOCKED = 15
    LICENSE = 32
    HOST_USER_PERMISSIONS = 3014
    INVALID_AUTHENTICATION_SESSION = 3047
    VM_NOT_FOUND = 4000
    SNAPSHOT_NOTFOUND = 13003
    HOST_SERVER_NOT_FOUND = 14008
    HOST_NETWORK_CONN_REFUSED = 14009
    HOST_TCP_SOCKET_ERROR = 14010
    HOST_TCP_CONN_LOST = 14011
    HOST_SERVER_SHUTDOWN = 14014
    HOST_SERVER_NOT_AVAILABLE = 14015
    DISK_INVAL = 16000
    DISK_NEEDSREPAIR = 16006
    DISK_NOLICENSE = 16064
    CANNOT_CONNECT_TO_HOST = 18000


class VixFailure(Exception):
    """A call is refused. `warnings` go to the caller's function for warnings."""

    def __init__(self, error: VixError, *warnings: str) -> None:
        super().__init__(f"{error.name} {' '.join(warnings)}".strip())
        self.error = error
        self.warnings: Sequence[str] = warnings
