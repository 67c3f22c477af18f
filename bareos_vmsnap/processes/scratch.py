# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""Private directories for sockets and temporary files (standard library only)."""

from __future__ import annotations

import tempfile

# A socket's path has at most 107 bytes; two directories and a name are added to this one.
_LONGEST_BASE = 48


def make_directory() -> str:
    """Make a directory that only this user can enter; the caller removes it."""
    base = tempfile.gettempdir()
    if len(base.encode()) > _LONGEST_BASE:
        base = "/tmp"
    return tempfile.mkdtemp(prefix="bareos-vmsnap-", dir=base)
