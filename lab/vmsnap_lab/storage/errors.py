# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What the storage refuses or fails to do."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "exists",
    "missing",
    "locked",
    "no-track",
    "no-epoch",
    "cannot-get-changes",
    "corrupt",
    "bad-change-id",
    "bad-offset",
    "no-space",
    "has-children",
    "bad-request",
]


class StorageError(Exception):
    """A storage operation was refused or failed.

    `kind` is for programs (the simulated vCenter makes its faults of it), the message for people.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
