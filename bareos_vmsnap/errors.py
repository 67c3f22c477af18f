# SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
# SPDX-License-Identifier: AGPL-3.0-only
"""What an admin is told when something goes wrong: what failed, what was left, what to do."""

from __future__ import annotations

from typing import Optional


class VmsnapError(Exception):
    """Base of every failure an admin can meet.

    Arguments:
        what: what failed, on which VM, disk or snapshot.
        left: what was left behind, or None when nothing was.
        todo: what the admin can do about it, or None.
    """

    def __init__(self, what: str, left: Optional[str] = None, todo: Optional[str] = None) -> None:
        super().__init__(what)
        self.what = what
        self.left = left
        self.todo = todo

    def __str__(self) -> str:
        parts = [self.what]
        if self.left:
            parts.append(f"Left behind: {self.left}")
        if self.todo:
            parts.append(f"What to do: {self.todo}")
        return " ".join(part if part.endswith((".", "!", "?")) else part + "." for part in parts)


class OptionError(VmsnapError):
    """A plugin option is unknown, missing or malformed."""


class PreflightError(VmsnapError):
    """The VM cannot be backed up as it is."""


class BackupError(VmsnapError):
    """A backup could not save everything."""


class RestoreError(VmsnapError):
    """A restore could not bring everything back."""


class Canceled(VmsnapError):
    """The job was canceled; whoever waits stops waiting."""
